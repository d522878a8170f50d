"""What a writer of rationales is, and what the cache keeps of a rationale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.llm.base import Failure
from radio.llm.outcomes import outcome_of
from radio.schema import Passage, Question, Rationale

KIND = "rationale"
"""The kind of the cache's entries."""


@dataclass(frozen=True, slots=True)
class Request:
    """One rationale to write: its cache key, the question and the passages that the prompt shows,
    best first."""

    key: str
    question: Question
    passages: Sequence[Passage] = ()


class RationaleWriter(Fingerprinted):
    """Turns questions with golden answers into rationales. A subclass implements :meth:`write`."""

    passages_shown = 0
    """How many candidates the prompt shows; they are part of the key."""

    def asked(self, question: Question) -> list[Any]:
        """What a rationale may depend on of a question, for the key: all but its id, unless a
        subclass knows better."""
        return question.content

    def key(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        """Cache key of the rationale: the same question, answers and settings never cost a second
        request."""
        shown = [[passage.id, passage.contents] for passage in passages]
        return fingerprint(["rationale/3", self.fingerprint(), self.asked(question), shown])

    @abstractmethod
    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        """Yield rationales as they are finished, in any order; the caller stores each one at once.

        A question for which there is none is left out or yielded as a :class:`Failure`; the next
        run asks again.

        Args:
            requests: what to write, each key once.
            cache: for what else must outlive the process, such as the number of a batch in flight.
        """

    def parts(self, requests: Sequence[Request]) -> list[tuple[RationaleWriter, list[Request]]]:
        """The writers that write for this one, each with what to ask it; none, unless a subclass
        combines the rationales of others.

        What the parts write is kept under keys of their own, and nothing under those of the whole.
        """
        return []

    def stored(self, requests: Sequence[Request], cache: Cache) -> dict[str, Rationale]:
        """The rationales that the cache has for these requests, by question id."""
        return read({request.question.id: request.key for request in requests}, cache)

    def outdated(self, rationale: Rationale) -> bool:
        """Whether a stored rationale is to be asked for again, for example cut off under a lower
        limit."""
        return False

    def estimate(self, requests: Sequence[Request]) -> str:
        """What they will cost, to print beforehand; empty if nothing."""
        return ""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    asks = True
    """Whether ``radio prepare`` can obtain what is missing; a reader of files cannot."""

    def hint(self) -> str:
        """What a user can do about a missing rationale."""
        return "run that command again to ask for those that failed"


def to_row(question: Question, rationale: Rationale) -> dict[str, Any]:
    """What the cache keeps of a rationale, in the shape that :func:`radio.formats.read_rationales`
    reads."""
    others = {"others": list(rationale.others)} if rationale.others else {}
    return {
        "id": question.id,
        "question": question.question,
        "golden_answers": list(question.golden_answers),
        "rationale": rationale.text,
        "model": rationale.model,
        "prompt": rationale.prompt,
        "outcome": rationale.outcome,
        "usage": dict(rationale.usage),
        "response": dict(rationale.response),
        **others,
    }


def from_row(question_id: str, row: Mapping[str, Any]) -> Rationale:
    """The rationale of a cache entry, for the question that asks (another may have the same text
    and answers).

    The server's answer stays in the cache: a million of them would fill the memory.

    Raises:
        TypeError: it is no such entry.
    """
    text, usage = row["rationale"], row["usage"]
    if not isinstance(text, str) or not isinstance(usage, dict):
        raise TypeError("expected a text and its usage")
    others = row.get("others", [])
    if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
        raise TypeError("expected the texts of other rationales")
    outcome = outcome_of(text, row["outcome"])
    said = text, row["model"], row["prompt"], usage, outcome
    return Rationale(question_id, *said, others=tuple(others))


def read(keys: Mapping[str, str], cache: Cache) -> dict[str, Rationale]:
    """Rationales that the cache has.

    Args:
        keys: cache keys by question id.
        cache: where they are.

    Returns:
        Rationales by question id.
    """
    stored = cache.get_json(keys.values(), partial(from_row, ""))
    rationales = {}
    for question_id, key in keys.items():
        if key in stored:
            rationales[question_id] = replace(stored[key], question_id=question_id)
    return rationales
