"""What the replies that a teacher has read took: calls, tokens, money."""

from __future__ import annotations

from collections.abc import Iterable

from radio.generators.base import Answer
from radio.llm.base import Failure


class Spending:
    """Adds up what replies took when they came, those in the cache included: what the scores of
    these questions are worth."""

    def __init__(self) -> None:
        self._calls = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._dollars: float | None = None

    def add(self, answers: Iterable[Answer | Failure]) -> None:
        """Replies; failures took nothing."""
        for answer in answers:
            if isinstance(answer, Failure):
                continue
            self._calls += 1
            self._prompt_tokens += answer.prompt_tokens
            self._completion_tokens += answer.usage.get("output", 0)
            if answer.dollars is not None:
                self._dollars = (self._dollars or 0.0) + answer.dollars

    @property
    def costs(self) -> dict[str, float] | None:
        """By name, for people; None before any reply was read. Tokens and dollars are left out
        where nobody counts them."""
        if not self._calls:
            return None
        found: dict[str, float] = {"replies": self._calls}
        if self._prompt_tokens:
            found["prompt tokens"] = self._prompt_tokens
            found["completion tokens"] = self._completion_tokens
        if self._dollars is not None:
            found["dollars"] = round(self._dollars, 4)
        return found
