"""Several rationales for one question, by several writers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.llm.base import Failure
from radio.llm.outcomes import USELESS
from radio.rationales.base import RationaleWriter, Request
from radio.rationales.filling import named
from radio.schema import InputError, Passage, Question, Rationale


class Several(RationaleWriter):
    """A rationale of each of several writers for every question, for teachers that compare several
    (``several`` of :class:`radio.teachers.RationaleSimilarity`).

    The same model with two prompts, two models, or files of rationales that are there already. The
    rationale of a question has the text of the first writer and, as ``others``, those of the rest;
    texts that are of no use (empty, refused, cut off) are left out, as long as there is another.
    What checks, reports and the review show of it is the first text; tokens are those of all.

    Each writer is asked for its own, one after the other, and what it writes is kept under its own
    key: nothing is paid for twice where a writer was used alone before, is used alone later, or
    where another one is added. A question that one of them fails has no rationale; what failed is
    listed with the name of the writer, and asked for again by the next run.

    Args:
        writers: who write, the first of them first.

    Raises:
        InputError: no writer is given.
    """

    identity = "Several"

    def __init__(self, writers: list[RationaleWriter]) -> None:
        if not writers:
            raise InputError(
                "Several: writers: found no writer, expected one or several, such as Recorded"
            )
        if any(writer.parts([]) for writer in writers):
            raise InputError(
                "Several: writers: found a writer that is several itself; put its writers into "
                "this list"
            )
        self.writers = writers

    # What is asked

    @property
    def passages_shown(self) -> int:  # type: ignore[override]
        return max(writer.passages_shown for writer in self.writers)

    @property
    def asks(self) -> bool:  # type: ignore[override]
        return any(writer.asks for writer in self.writers)

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        keys = []
        for writer in self.writers:
            keys.append(writer.key(question, passages[: writer.passages_shown]))
        return fingerprint(["several/1", keys])

    def parts(self, requests: Sequence[Request]) -> list[tuple[RationaleWriter, list[Request]]]:
        found = []
        for writer in self.writers:
            asked = []
            for request in requests:
                shown = request.passages[: writer.passages_shown]
                key = writer.key(request.question, shown)
                asked.append(Request(key, request.question, shown))
            found.append((writer, asked))
        return found

    # What is there

    def stored(self, requests: Sequence[Request], cache: Cache) -> dict[str, Rationale]:
        found = {}
        for result in self.write(requests, cache):
            if isinstance(result, Rationale):
                found[result.question_id] = result
        return found

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        """Put together what the writers have written; a question that one of them has nothing for
        is a failure that names it."""
        read = [part.stored(asked, cache) for part, asked in self.parts(requests)]
        for request in requests:
            question = request.question.id
            lacking = [number for number, found in enumerate(read) if question not in found]
            if lacking:
                names = [named(self.writers[number], number + 1) for number in lacking]
                yield Failure(question, f"{'; '.join(names)}: no rationale")
            else:
                yield _together([found[question] for found in read])

    # What the writers know

    def estimate(self, requests: Sequence[Request]) -> str:
        parts = self.parts(requests)
        return self._listed([writer.estimate(asked) for writer, asked in parts])

    def status(self) -> str:
        return self._listed([writer.status() for writer in self.writers])

    def hint(self) -> str:
        return self._listed([writer.hint() for writer in self.writers])

    def _listed(self, said: Sequence[str]) -> str:
        """What each writer says, with its name; the same words of all once."""
        if len(set(said)) == 1:
            return said[0]
        lines = []
        for number, text in enumerate(said):
            if text:
                lines.append(f"{named(self.writers[number], number + 1)}: {text}")
        return "; ".join(lines)


def _together(found: Sequence[Rationale]) -> Rationale:
    """One rationale of several for the same question."""
    useful = [rationale for rationale in found if rationale.outcome not in USELESS] or found[:1]
    first, *others = useful
    usage: Counter[str] = Counter()
    for rationale in found:
        usage.update(rationale.usage)
    texts = tuple(rationale.text for rationale in others)
    return replace(first, usage=dict(usage), others=texts)
