"""Rationale writers: why the golden answers are right."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from radio.cache import Fingerprinted, fingerprint
from radio.formats import normalise_question, read_rationales
from radio.schema import Question, Rationale


class RationaleWriter(Fingerprinted):
    """Turns questions with golden answers into rationales. A subclass implements :meth:`write`."""

    def key(self, question: Question) -> str:
        """Cache key of the rationale: the same question, answers and settings never cost a second request."""
        return fingerprint(
            ["rationale", self.fingerprint(), question.question, question.golden_answers, question.choices]
        )

    @abstractmethod
    def write(self, questions: Sequence[Question]) -> Iterator[Rationale]:
        """Yield rationales as they are finished, in any order; the caller stores each one at once.

        A question for which there is none is left out; the next run asks for it again.
        """

    def hint(self) -> str:
        """What a user can do about a missing rationale."""
        return "run that command again to ask for those that failed"


class Recorded(RationaleWriter):
    """Rationales from JSONL files, by question id; rows without an id (as published) join by question text.

    Args:
        paths: one file or several; see :func:`radio.formats.read_rationales`.
    """

    def __init__(self, paths: list[str] | str) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        self._by_id: dict[str, Rationale] = {}
        self._by_text: dict[str, Rationale] = {}
        self._read = False

    def _find(self, question: Question) -> Rationale | None:
        if not self._read:
            for path in self.paths:
                by_id, by_text = read_rationales(path)
                self._by_id.update(by_id)
                self._by_text.update(by_text)
            self._read = True
        return self._by_id.get(question.id) or self._by_text.get(normalise_question(question.question))

    def key(self, question: Question) -> str:
        # by the row itself, not by the file: adding rows to a file leaves the others where they are
        found = self._find(question)
        return fingerprint(["recorded", question.id, question.question, found.text if found else None])

    def write(self, questions: Sequence[Question]) -> Iterator[Rationale]:
        for question in questions:
            found = self._find(question)
            if found is not None:
                yield Rationale(question.id, found.text, found.model, found.prompt, found.usage)

    def hint(self) -> str:
        return f"add their rows to {', '.join(map(str, self.paths))} first"
