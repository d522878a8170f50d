"""Candidates from files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from radio.cache import Cache
from radio.formats import Better, CandidateLists, read_candidates
from radio.retrievers.base import Retriever
from radio.schema import Candidate, InputError, Passage, Question, add_passage


class Precomputed(Retriever):
    """Candidates from files, TREC runs or JSONL, joined by question id.

    :func:`radio.formats.read_candidates` reads them.

    Candidates that were put in by hand come on top of the k that are asked for; the data module
    leaves them out.

    Args:
        paths: one file or several; a question may stand in one of them only.
        better: which scores are the better ones; ``lower`` are distances, and are negated. None
            takes the higher ones, and refuses a file whose lists are sorted the other way.
        texts: what to do where a file carries the text of a passage, and the corpus has another one
            under its id: ``error``, or ``corpus``, whose text counts.
    """

    identity = "Precomputed"

    def __init__(
        self,
        paths: list[str] | str,
        better: Better | None = None,
        texts: Literal["error", "corpus"] = "error",
    ) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        if not self.paths:
            raise InputError(
                "Precomputed: paths: found an empty list, expected at least one file of candidates"
            )
        for number, path in enumerate(self.paths):
            if path.resolve() in [other.resolve() for other in self.paths[:number]]:
                raise InputError(f"Precomputed: paths: found {path} twice, expected each file once")
        # of no effect on the key where the scores are as they mostly are
        self._better = better
        self._texts = texts
        self._corpus: Mapping[str, Passage] = {}
        self._table: CandidateLists | None = None
        self._passages: dict[str, Passage] = {}

    def _read(self) -> CandidateLists:
        if self._table is None:
            table = CandidateLists()
            for path in self.paths:
                candidates, passages = read_candidates(path, self._better)
                twice = table.keys() & candidates.keys()
                if twice:
                    raise InputError(
                        f"{path}: question id {min(twice)!r} already has candidates in another file"
                    )
                table.update(candidates)
                for passage in passages.values():
                    add_passage(self._passages, passage, str(path))
            self._table = table
        return self._table

    def release(self) -> None:
        self._table = None

    def asked(self, question: Question) -> list[Any]:
        return []

    def passages(self) -> dict[str, Passage]:
        """Passages whose text the files carry: with all of them, no corpus file is needed."""
        self._read()
        return self._passages

    def _compare_those_of(self, questions: Sequence[Question], table: CandidateLists) -> None:
        """Texts of the files with those of the corpus, which is what is ranked and read."""
        known = 0
        other: list[tuple[Passage, Passage]] = []
        asked: dict[str, None] = {}
        for question in questions:
            asked |= dict.fromkeys(one.passage_id for one in table.get(question.id, []))
        for name in asked:
            if name not in self._passages or name not in self._corpus:
                continue
            mine = self._passages[name]
            known += 1
            theirs = self._corpus[mine.id]
            if mine.contents.split() != theirs.contents.split():
                other.append((mine, theirs))
        if not other:
            return
        mine, theirs = other[0]
        message = (
            f"{', '.join(map(str, self.paths))}: {len(other)} of {known} passages have "
            f"another text in the corpus, such as {mine.id!r}: {mine.contents[:60]!r} here, "
            f"{theirs.contents[:60]!r} there"
        )
        if self._texts == "error":
            raise InputError(
                f"{message}; give the corpus that the candidates were made from, leave out "
                "data.init_args.corpus if they carry all texts, or take the corpus's with "
                "--data.init_args.retriever.init_args.texts corpus"
            )
        warnings.warn(f"{message}; the corpus's text is taken", stacklevel=2)

    def carries_all(self) -> bool:
        """Whether the files carry the text of each candidate."""
        for candidates in self._read().values():
            for candidate in candidates:
                if candidate.passage_id not in self._passages:
                    return False
        return True

    def depends_on(self) -> dict[str, Any]:
        settings = super().depends_on()
        return {**settings, "better": "lower"} if self._better == "lower" else settings

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._corpus = passages

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        table = self._read()
        if self._passages:
            self._compare_those_of(questions, table)
        for question in questions:
            if question.id not in table:
                files = ", ".join(map(str, self.paths))
                raise InputError(
                    f"{files}: no candidates for question id {question.id!r}; found {len(table)} "
                    "questions"
                )
            candidates = table[question.id]
            # those put in by hand do not count, wherever they stand
            searched = [one.rank for one in candidates if not one.injected]
            yield candidates[: searched[k - 1] + 1] if len(searched) >= k else candidates
