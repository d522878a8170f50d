"""How the cache is filled from a writer of rationales, anybody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.contracts import described, refuse
from radio.llm import fill as durable
from radio.llm.base import Failure
from radio.llm.outcomes import kept_as_they_are, outcome_of, whole_text
from radio.rationales.base import KIND, RationaleWriter, Request, from_row, to_row
from radio.schema import Rationale


def fill(
    writer: RationaleWriter, requests: Sequence[Request], cache: Cache, failures: Path, title: str
) -> Counter[str]:
    """Write the rationales that the cache lacks, each stored as it comes; safe to kill and to run
    again.

    Prints what :func:`radio.llm.fill.fill` does, and returns the count of each outcome. Those that
    failed are listed in ``failures``. Where a writer has parts, each is asked for its own, one
    after the other.

    Raises:
        InputError: the writer cannot go on, or the cache cannot be written.
    """
    parts = writer.parts(requests)
    if not parts:
        source = Rationales(writer, requests, cache, title)
        return durable.fill(source, source.keys, cache, failures)
    outcomes: Counter[str] = Counter()
    failed: list[Failure] = []
    for number, (part, asked) in enumerate(parts, start=1):
        source = Rationales(part, asked, cache, f"{title}, {number} of {len(parts)}")
        try:
            outcomes.update(durable.fill(source, source.keys, cache, failures))
        finally:
            for failure in source.failed:
                failed.append(replace(failure, error=f"{named(part, number)}: {failure.error}"))
            # what stopped the run is said by its own error, such as that of a full disk
            with suppress(OSError):
                durable.list_failures(failures, failed)
    return outcomes


def named(part: RationaleWriter, number: int) -> str:
    """A writer among several, for people."""
    model = getattr(part, "model", "")
    of_model = f" ({model})" if isinstance(model, str) and model else ""
    return f"writer {number}, {type(part).__name__}{of_model}"


class Rationales(durable.Source):
    """A writer as the source of rationales for some requests."""

    kind = KIND
    unit = "question"

    def __init__(
        self, writer: RationaleWriter, requests: Sequence[Request], cache: Cache, title: str
    ) -> None:
        self.title = title
        self._writer = writer
        self._cache = cache
        self._requests = {request.key: request for request in requests}
        self.failed: list[Failure] = []

    @property
    def keys(self) -> list[str]:
        """Cache keys of the requests, each once."""
        return list(self._requests)

    def is_current(self, row: Any) -> bool:
        return not self._writer.outdated(from_row("", row))

    def obtain(self, keys: Sequence[str]) -> Iterator[durable.Answer | Failure]:
        requests = self._of(keys)
        by_id = {request.question.id: request for request in requests}
        for result in written(self._writer, requests, self._writer.write(requests, self._cache)):
            if isinstance(result, Failure):
                self.failed.append(result)
                yield result
                continue
            text = whole_text(result.text)
            rationale = replace(result, text=text, outcome=outcome_of(text, result.outcome))
            request = by_id[rationale.question_id]
            row = to_row(request.question, rationale)
            yield durable.Answer(request.key, row, rationale.outcome)

    def estimate(self, keys: Sequence[str]) -> str:
        return self._writer.estimate(self._of(keys))

    def status(self) -> str:
        return self._writer.status()

    def advice(self, useless: Mapping[str, int]) -> str:
        # what stands in a file cannot be asked for again
        return kept_as_they_are(useless) if self._writer.asks else ""

    def _of(self, keys: Sequence[str]) -> list[Request]:
        return [self._requests[key] for key in keys]


def written(
    writer: object, requests: Sequence[Request], found: object
) -> Iterator[Rationale | Failure]:
    """What :meth:`radio.rationales.RationaleWriter.write` yields for these requests, each as it
    comes.

    Raises:
        InputError: it is not what a writer may yield (see :mod:`radio.contracts`).
    """
    expected = "an iterable of Rationale and Failure"
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        refuse(writer, "write", described(found), expected)
    asked = {request.question.id for request in requests}
    answered: set[str] = set()
    for result in found:
        if not isinstance(result, Rationale | Failure):
            refuse(writer, "write", described(result), expected)
        question = result.question_id
        if question not in asked:
            some = ", ".join(sorted(asked)[:3])
            expected_ids = f"one that was asked about ({some}, ...)"
            refuse(writer, "write", f"question id {question!r}", expected_ids)
        if question in answered:
            refuse(writer, "write", f"a second result for question {question!r}", "one for each")
        if isinstance(result, Rationale) and not isinstance(result.text, str):
            text = f"text {described(result.text)} for question {question!r}"
            refuse(writer, "write", text, "a string, or a Failure where there is none")
        answered.add(question)
        yield result
