"""When a request is tried again: one policy for messages, batches and their results."""

from __future__ import annotations

from contextlib import suppress

import pytest

from radio.llm.problems import Problem
from radio.llm.tries import NoAnswerError, Tries
from radio.schema import InputError

BUSY = Problem("busy", retry=True, patience=3)
PAGE = Problem("a page", retry=True, unreadable=True, patience=2)


def waits(tries: Tries, problem: Problem, *, reached: bool) -> list[float]:
    """Waits until there are no further tries."""
    seconds = []
    with suppress(InputError):
        while True:
            seconds.append(tries.wait(problem, reached=reached))
    return seconds


def test_each_wait_is_twice_as_long_as_the_one_before_up_to_a_minute() -> None:
    found = waits(Tries(9), BUSY, reached=True)
    longest = [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert len(found) == 9
    for seconds, most in zip(found, longest, strict=True):
        assert 0.75 * most <= seconds <= most


def test_the_server_says_how_long_to_wait() -> None:
    told = Problem("slow down", retry=True, wait=90.0)
    assert Tries(1).wait(told, reached=True) == 90.0


def test_a_server_that_never_answered_is_soon_given_up_and_the_run_with_it() -> None:
    tries = Tries(8)
    assert len([tries.wait(BUSY, reached=False) for _ in range(3)]) == 3
    with pytest.raises(InputError) as error:
        tries.wait(BUSY, reached=False)
    assert not isinstance(error.value, NoAnswerError)


def test_a_server_that_has_answered_is_worth_all_tries_and_only_the_request_is_given_up() -> None:
    tries = Tries(8)
    assert len([tries.wait(BUSY, reached=True) for _ in range(8)]) == 8
    with pytest.raises(NoAnswerError, match="busy"):
        tries.wait(BUSY, reached=True)


def test_answers_that_cannot_be_read_are_paid_for_a_few_times_only() -> None:
    assert len(waits(Tries(8, unreadable=2), PAGE, reached=True)) == 2
    assert len(waits(Tries(8), PAGE, reached=True)) == 8


@pytest.mark.parametrize(
    ("problem", "kind"),
    [(Problem("too long"), NoAnswerError), (Problem("wrong key", fatal=True), InputError)],
)
def test_what_no_retry_helps_is_not_tried_again(problem: Problem, kind: type[InputError]) -> None:
    with pytest.raises(InputError, match=problem.message) as error:
        Tries(8).wait(problem, reached=True)
    assert type(error.value) is kind
