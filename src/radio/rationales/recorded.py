"""Rationales that were written before, from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.formats import RationaleRow, read_rationale_files
from radio.rationales.base import RationaleWriter, Request
from radio.schema import InputError, Passage, Question, Rationale
from radio.text import normalise_question


class Recorded(RationaleWriter):
    """Rationales from JSONL files, by question id; rows without an id (as published) join by
    question text.

    Where a row has both, its question must be the one of that id (but for case and punctuation):
    ids of two datasets are often the same.

    Args:
        paths: one file or several; see :func:`radio.formats.read_rationales`.

    Raises:
        InputError: no file is given.
    """

    identity = "Recorded"

    def __init__(self, paths: list[str] | str) -> None:
        names = [paths] if isinstance(paths, str) else paths
        self.paths = [Path(name) for name in names]
        self._tables: tuple[dict[str, RationaleRow], dict[str, RationaleRow]] | None = None
        if not self.paths:
            raise InputError(
                "Recorded: paths: found no file, expected one or several of rationales"
            )

    def _find(self, question: Question) -> Rationale | None:
        if self._tables is None:
            self._tables = read_rationale_files(self.paths)
        by_id, by_text = self._tables
        # a dataset may ask in words of its own about what its file says (a claim, say)
        texts = [normalise_question(text) for text in (question.question, question.query)]
        row = by_id.get(question.id)
        if row is None:
            row = by_text.get(texts[0])
        elif row.question is not None and normalise_question(row.question) not in texts:
            raise InputError(
                f"{row.place}: id {question.id!r}: found the question {row.question!r}, expected "
                f"{question.question!r}, which has this id in the data; ids of two datasets may be "
                "the same: leave 'id' out to join the rows by their question, or 'question' to "
                "join them by id alone"
            )
        return row.rationale if row else None

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        # by the row itself, not by the file: adding rows to a file leaves the others where they are
        rationale = self._find(question)
        content = rationale.content if rationale else None
        return fingerprint(["recorded/3", question.id, question.question, content])

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
        for request in requests:
            rationale = self._find(request.question)
            if rationale is not None:
                # the row may be of another id, or of none
                yield replace(rationale, question_id=request.question.id, response={})

    asks = False

    def hint(self) -> str:
        return f"add their rows to {', '.join(map(str, self.paths))} first"
