"""What came back from a provider so far, and when there is no point in going on."""

from __future__ import annotations

from collections import Counter

from radio.llm.base import Call, Failure, Reply
from radio.llm.outcomes import USELESS, kept_as_they_are, outcome_of
from radio.schema import InputError

HOPELESS = 20
"""Questions that fail one after the other, with no success in between, before a run gives up."""


class Tally:
    """Counts answers, failures and further tries of a model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.answered = 0
        self.failed = 0
        self.retried = 0
        self._failed_in_a_row = 0
        self._outcomes: Counter[str] = Counter()

    def answer(self, reply: Reply) -> None:
        self.answered += 1
        self._failed_in_a_row = 0
        self._outcomes[outcome_of(reply.text, reply.outcome)] += 1

    def failure(self, call: Call, message: str) -> Failure:
        """Note that a call has no answer.

        Raises:
            InputError: so many have none that the rest will hardly have one.
        """
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= HOPELESS:
            raise InputError(
                f"{self._model}: {HOPELESS} questions in a row failed, the last one with: {message}"
            )
        return self.lost(call, message)

    def lost(self, call: Call, message: str) -> Failure:
        """Note that a call of a batch has no answer.

        A batch is over: giving up after many in a row would keep the rest of it from being read.
        """
        self.failed += 1
        return Failure(call.question_id, message)

    @property
    def all_useless(self) -> bool:
        """Whether many answers came and none that teaches anything."""
        return self.answered >= HOPELESS and not self._outcomes["written"]

    def check_use(self) -> None:
        """Refuse to go on where nothing of use has come back.

        Raises:
            InputError: says what has, and what to do.
        """
        if self.all_useless:
            useless = {name: self._outcomes[name] for name in USELESS if self._outcomes[name]}
            raise InputError(
                f"{self._model}: of no use so far, so that the rest is not asked for: "
                f"{kept_as_they_are(useless)}"
            )
