"""A language model that needs no weights: what it finds likely is a sum over words."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from radio.cache import Cache
from radio.llm.base import Call, LanguageModel, Likelihood, Result
from radio.schema import Question, RetrievedPassage

QUESTION = Question("q1", "Which lamp burns in the fog?", ("harbour lamp", "tower"))
TEXTS = [
    "Lamps\nThe harbour lamp burns in fog.",
    "Bells\nA bell rings in the storm.",
    "Towers\nThe keeper of the tower has a rope and a chart and an anchor.",
    "Tides\nThe tide comes with the wind.",
]


def passages(texts: Sequence[str] = TEXTS) -> list[RetrievedPassage]:
    return [RetrievedPassage(f"p{i}", text, rank=i, score=9.0 - i) for i, text in enumerate(texts)]


class Words(LanguageModel):
    """Its tokens are words; each has a probability that depends on the prompt and the word."""

    def __init__(self, window: int | None = None, silent: Sequence[str] = ()) -> None:
        super().__init__("words", None, 10)
        self.window_size = window
        self.silent = silent
        """Answers that have no token."""
        self.asked: list[tuple[str, str]] = []
        self.released = 0

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), "stop": ["unread"]}

    def log_likelihood(
        self, calls: Sequence[Call], continuations: Sequence[str]
    ) -> list[Likelihood]:
        found = []
        for call, text in zip(calls, continuations, strict=True):
            self.asked.append((call.user, text))
            found.append(self.likelihood(call.user, text))
        return found

    def contrasted_log_likelihood(
        self,
        calls: Sequence[Call],
        plain_calls: Sequence[Call],
        continuations: Sequence[str],
        alpha: float,
    ) -> list[Likelihood]:
        found = []
        for call, plain, text in zip(calls, plain_calls, continuations, strict=True):
            one, other = self.log_likelihood([call, plain], [text, text])
            total = (1 + alpha) * one.total - alpha * other.total
            found.append(Likelihood(min(total, 0.0), one.tokens))
        return found

    def likelihood(self, user: str, text: str) -> Likelihood:
        words = [] if text in self.silent else text.split()
        total = 0.0
        for place, word in enumerate(words):
            # never certain, and the same on every machine
            total -= (1 + zlib.crc32(f"{user} {place} {word}".encode()) % 1000) / 500
        return Likelihood(total, len(words))

    def window(self) -> int | None:
        return self.window_size

    def prompt_tokens(self, system: str, user: str) -> int:
        return len(system.split()) + len(user.split())

    def first_tokens(self, text: str, count: int) -> str:
        return " ".join(text.split()[:count])

    def release(self) -> None:
        self.released += 1

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        raise NotImplementedError

    def estimate(self, calls: Sequence[Call]) -> str:
        raise NotImplementedError
