"""What a language model is to those who ask one: calls go in, replies and failures come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from radio.cache import Cache
from radio.ranges import check
from radio.schema import InputError


@dataclass(frozen=True, slots=True)
class Call:
    """One prompt for a model, about a question."""

    key: str
    """Cache key of the answer: 64 characters, and the name of the call in a batch."""
    question_id: str
    """For messages; several calls may be about the same question."""
    system: str
    write_user: Callable[[], str]

    @property
    def user(self) -> str:
        """The user's part, made when it is looked at: a million of them would fill the memory."""
        return self.write_user()

    def written_out(self) -> Call:
        """The same call with its user's part made once, for as long as it is under way."""
        user = self.user
        return replace(self, write_user=lambda: user)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of a model: ``outcome`` and ``usage`` as in :class:`radio.schema.Rationale`."""

    text: str
    outcome: str
    usage: Mapping[str, int]
    response: Mapping[str, Any] = field(default_factory=dict)
    """All that the server said; empty for a model on this machine."""
    seconds: float = 0.0
    """From the request to the reply; a prompt of a batch has its share."""


class Likelihood(NamedTuple):
    """How likely a model finds a text after a prompt."""

    total: float
    """Sum of the natural logarithms of its tokens' probabilities."""
    tokens: int
    """How many tokens that are."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A question for which no answer could be had; the next run asks again."""

    question_id: str
    error: str


Result = tuple[Call, Reply | Failure]
"""A call and what came of it."""


class LanguageModel(ABC):
    """Answers prompts. A subclass implements :meth:`complete` and :meth:`estimate`.

    To make one asks and loads nothing: that begins with the first call.

    Args:
        model: name at the provider or on the hub, or a folder.
        sampling: settings of the provider or of ``generate``; empty takes their defaults.
        max_tokens: limit of an answer.
    """

    def __init__(self, model: str, sampling: dict[str, Any] | None, max_tokens: int) -> None:
        check(self, locals())
        self.model = model
        self.sampling = sampling or {}
        self._max_tokens = max_tokens

    def depends_on(self) -> dict[str, Any]:
        """What an answer depends on beside its prompt, for cache keys: not where the model is
        served, nor ``max_tokens`` (see :meth:`outdated`)."""
        return {"model": self.model, "sampling": self.sampling}

    @abstractmethod
    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        """Yield each call with its reply or failure as it comes, in any order.

        The caller stores each one before it takes the next. A call may be left out, for example
        when money runs out; the next run asks again.

        Args:
            calls: what to ask, each key once.
            cache: for what else must outlive the process, such as the number of a batch in flight,
                or replies that came and that the caller did not take.

        Raises:
            InputError: no further call can be answered, for example because the key is wrong.
        """

    def log_likelihood(
        self, calls: Sequence[Call], continuations: Sequence[str]
    ) -> list[Likelihood]:
        """How likely the model finds each text as the answer to its prompt, exactly.

        The end of the answer is not judged: a text is as likely whether the model would stop after
        it or go on with a full stop.

        Args:
            calls: the prompts.
            continuations: a text for each.

        Raises:
            InputError: this model gives no probabilities.
        """
        raise self._gives_no_probabilities()

    def contrasted_log_likelihood(
        self,
        calls: Sequence[Call],
        plain_calls: Sequence[Call],
        continuations: Sequence[str],
        alpha: float,
    ) -> list[Likelihood]:
        """As :meth:`log_likelihood`, of ``(1 + alpha) * logits - alpha * plain logits``: those
        after the prompt, and those after a plain one, such as the same question without passages.

        Args:
            calls: the prompts.
            plain_calls: for each the plain one.
            continuations: a text for each.
            alpha: how much the plain prompt counts.

        Raises:
            InputError: this model gives no probabilities.
        """
        raise self._gives_no_probabilities()

    def _gives_no_probabilities(self) -> InputError:
        return InputError(
            f"{type(self).__name__} gives no probabilities of a text; take a model on this machine "
            "(TransformersModel)"
        )

    def judged(
        self,
        calls: Sequence[Call],
        continuations: Sequence[str],
        plain_calls: Sequence[Call] | None = None,
        alpha: float = 0.0,
    ) -> Iterator[tuple[int, Likelihood]]:
        """:meth:`log_likelihood`, or with plain calls :meth:`contrasted_log_likelihood`: number and
        likelihood of each call in any order, as they come."""
        if plain_calls is None:
            yield from enumerate(self.log_likelihood(calls, continuations))
        else:
            found = self.contrasted_log_likelihood(calls, plain_calls, continuations, alpha)
            yield from enumerate(found)

    def window(self) -> int | None:
        """Tokens that a prompt may have; None where that is not known."""
        return None

    def prompt_tokens(self, system: str, user: str) -> int:
        """Tokens of a prompt as the model reads it, or an estimate that is rather too high."""
        raise NotImplementedError

    def first_tokens(self, text: str, count: int) -> str:
        """The beginning of a text that has so many tokens."""
        raise NotImplementedError

    def price(self, usage: Mapping[str, float]) -> float | None:
        """US dollars of a reply's tokens; None where no price is known."""
        return None

    def release(self) -> None:  # noqa: B027 -- optional
        """Free what was loaded to answer; the next call loads it again."""

    @abstractmethod
    def estimate(self, calls: Sequence[Call]) -> str:
        """What these calls will cost, to print beforehand."""

    def status(self) -> str:
        """What to show beside the progress bar, for example the money spent so far."""
        return ""

    def hint(self) -> str:
        """What a user can do about calls that were left out; empty if there is nothing special."""
        return ""

    def outdated(self, outcome: str, usage: Mapping[str, int]) -> bool:
        """Whether a stored answer was cut off under a lower limit than today's."""
        return outcome == "truncated" and usage.get("output", 0) < self._max_tokens
