"""What teachers that ask a language model share: replies are kept as answers are."""

from __future__ import annotations

import pytest

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.generators import Answer
from radio.llm.base import Call, Failure
from radio.schema import Question
from radio.teachers import Utility
from radio.teachers.asking import not_answered, replies
from tests.conftest import entries
from tests.teachers.judges import Judge

QUESTIONS = [Question(f"q{number}", f"Why {number}?") for number in range(4)]


def call(number: int, text: str) -> Call:
    return Call(fingerprint(text), f"q{number}", "Judge.", lambda: text)


def test_replies_are_in_the_order_of_the_calls_and_kept_as_answers(cache: Cache) -> None:
    judge = Judge(str.upper)
    calls = [call(2, "two"), call(0, "zero"), call(1, "two")]
    found = replies("judged", judge, calls, QUESTIONS, cache)
    assert [answer.text for answer in found if isinstance(answer, Answer)] == ["TWO", "ZERO", "TWO"]
    assert sorted(judge.asked) == ["two", "zero"]
    assert replies("judged", judge, calls, QUESTIONS, cache) == found
    assert len(judge.asked) == 2
    assert entries(cache) == {"answer": 2}
    row = dict(cache.items_json("answer"))[fingerprint("zero")]
    assert row == {
        "id": "q0",
        "question": "Why 0?",
        "answer": "ZERO",
        "model": "judge",
        "usage": {"input": 100, "output": 10},
    }


def test_what_failed_is_named_and_asked_for_again(cache: Cache) -> None:
    judge = Judge(str.upper)
    calls = [call(0, "fail"), call(1, "one")]
    failed, other = replies("judged", judge, calls, QUESTIONS, cache)
    assert failed == Failure("q0", "out of order")
    assert isinstance(other, Answer)
    judge.broken = False
    again, _ = replies("judged", judge, calls, QUESTIONS, cache)
    assert isinstance(again, Answer)
    assert judge.asked == ["one", "fail"]


def test_what_was_left_out_is_a_failure(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(str.upper)
    monkeypatch.setattr(judge, "complete", lambda calls, cache: iter(()))
    monkeypatch.setattr(judge, "hint", lambda: "raise max_cost")
    assert replies("judged", judge, [call(3, "x")], QUESTIONS, cache) == [
        Failure("q3", "raise max_cost")
    ]


def test_questions_without_a_reply_are_told_with_what_to_do() -> None:
    error = not_answered(Utility(Judge(str.upper)), {"q1": "out of order", "q2": "x"}, 9)
    assert str(error).startswith(
        "Utility: judge gave no reply about 2 of 9 questions (q1: out of order); all others are "
        "kept: run the same command again"
    )
