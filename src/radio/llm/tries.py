"""When a request is tried again, and how long to wait before."""

from __future__ import annotations

import random

from radio.llm.problems import Problem
from radio.schema import InputError

FIRST_WAIT = 0.5
"""Seconds before the second try of a request; twice as many before each further one."""

LONGEST_WAIT = 60.0
"""Seconds between two tries, unless the server asks for more."""


class NoAnswerError(InputError):
    """There is no answer to this request; others may have one."""


class Tries:
    """The tries of one request: the same policy for messages, for batches and for their results.

    (tenacity would need four callables in the place of :meth:`wait`, which all look at the same
    problem, and would lose why it stopped: that decides whether the run ends too.)

    Args:
        retries: further tries.
        unreadable: how many of them after answers that could not be read, which may have cost
            money; None is no limit.
    """

    def __init__(self, retries: int, unreadable: int | None = None) -> None:
        self._retries = retries
        self._most_unreadable = retries if unreadable is None else unreadable
        self._unreadable = 0
        self._done = 0

    def wait(self, problem: Problem, *, reached: bool) -> float:
        """Seconds to wait before the next try.

        Args:
            problem: what this try ended with.
            reached: whether this server has ever answered; one that has not is soon given up.

        Raises:
            NoAnswerError: this request is not worth another try.
            InputError: no request to this server is.
        """
        is_down = problem.retry and not reached and self._done >= problem.patience
        if problem.fatal or is_down:
            raise InputError(problem.message)
        self._unreadable += problem.unreadable
        exhausted = self._done >= self._retries or self._unreadable > self._most_unreadable
        if exhausted or not problem.retry:
            raise NoAnswerError(problem.message)
        doubled = FIRST_WAIT * 2.0**self._done
        self._done += 1
        # those that failed together are not to come back together
        return problem.wait or min(LONGEST_WAIT, doubled) * random.uniform(0.75, 1.0)
