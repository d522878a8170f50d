"""What a generator was asked and replied: by system, and each distinct prompt once in the total."""

from __future__ import annotations

from radio.evaluation import asked
from radio.evaluation.reading import Readings
from radio.generators import Answer
from tests.evaluation.test_reading import BACKWARDS, FORWARDS, QUESTIONS, First, reading_of


def test_what_was_asked_is_counted_by_system_and_each_prompt_once_in_the_total() -> None:
    run = dict.fromkeys(QUESTIONS, FORWARDS)
    rankings = {"base": run, "tuned": {**run, "q2": BACKWARDS}}
    counts = asked.tally(reading_of(First(), rankings, (1, 3)))
    assert counts["systems"]["tuned"] == {
        "answers": 6,
        "unparsed": 2,
        "passages": 3 * (1 + 3),
        "passages_cut": 3,
        "answers_with_tokens_cut": 3,
        "tokens_cut": 21,
        "cached": 2,
        "prompt_tokens": 6 * 15,
        "completion_tokens": 12,
        "seconds": 3.0,
        "dollars": 1.5,
    }
    assert counts["systems"]["base"]["unparsed"] == 0
    assert counts["total"] == {
        "prompts": 8,
        "failed": 0,
        "cached": 2,
        "prompt_tokens": 8 * 15,
        "completion_tokens": 16,
        "seconds": 4.0,
        "dollars": 2.0,
        "spent": 1.5,
    }


def test_questions_without_an_answer_are_counted_and_cost_nothing() -> None:
    run = dict.fromkeys(QUESTIONS, FORWARDS)
    found = reading_of(First(failing=["q1"]), {"base": run, "tuned": {**run, "q1": BACKWARDS}})
    counts = asked.tally(found)
    assert (counts["questions"], counts["failed_questions"]) == (3, 1)
    assert (counts["total"]["prompts"], counts["total"]["failed"]) == (4, 1)
    # q1's other passages were answered, and paid for, though nobody reads it
    assert counts["total"]["dollars"] == 3 * 0.25
    assert counts["systems"]["base"]["answers"] == 2


def test_where_no_price_is_known_nothing_is_said_of_money() -> None:
    counts = asked.tally(Readings(answers=[Answer("a"), Answer("b")], distinct=2))
    assert counts["total"]["dollars"] is counts["total"]["spent"] is None
    assert asked.of_answer(Answer("a", "truncated", {"output": 3}, tokens_cut=2)) == {
        "key": "",
        "outcome": "truncated",
        "cached": False,
        "prompt_tokens": 0,
        "completion_tokens": 3,
        "seconds": 0.0,
        "dollars": None,
        "passages_cut": 0,
        "tokens_cut": 2,
    }
