"""Teachers by golden answers and annotated passages."""

from __future__ import annotations

from typing import Any

import pytest

from radio.cache import Cache
from radio.schema import InputError, Question
from radio.teachers import AnswerMatch, Gated, GoldPassages
from tests.teachers.cases import QUESTION, Fixed, passages


def test_answer_match_marks_the_passages_that_hold_an_answer(cache: Cache) -> None:
    question = Question("q", "What is bread baked from?", ("flour", "white"))
    teacher = AnswerMatch()
    assert teacher.score(question, None, passages()) == [0, 0, 0, 1, 1]
    assert not teacher.needs_rationale


@pytest.mark.parametrize("answer", ["no", "SUPPORTS", "NOT_ENOUGH_INFO"])
def test_the_word_of_a_verdict_marks_no_passage(answer: str) -> None:
    question = Question("q", "Is there a doubt?", (answer,))
    texts = passages(["There is no doubt.", "It supports that.", "Something else."])
    assert AnswerMatch().score(question, None, texts) == [1, 1, 1]
    gated = Gated(Fixed([0.2, 0.4, 0.6]), floor=0.1)
    assert gated.score(question, None, texts) == pytest.approx([0.2, 0.4, 0.6])


def test_gold_passages_are_those_of_the_annotation() -> None:
    question = Question("q", "?", ("x",), metadata={"gold_ids": ["p1", "p9"]})
    assert GoldPassages().score(question, None, passages()) == [0, 1, 0, 0, 0]
    with pytest.raises(InputError, match="question 'q1': metadata has no key 'gold_ids'"):
        GoldPassages().score(QUESTION, None, passages())
    with pytest.raises(
        InputError, match="question 'q': metadata: key 'gold_ids': found 'p1', expected a list"
    ):
        GoldPassages().score(Question("q", "?", metadata={"gold_ids": "p1"}), None, passages())
    for grade in (None, "high"):
        with pytest.raises(InputError, match=r"key 'gold_ids': found .* grades, which are numbers"):
            GoldPassages().score(
                Question("q", "?", metadata={"gold_ids": {"p1": grade}}), None, passages()
            )


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ({"p0": 1, "p2": 1}, [1, 0, 1, 0, 0]),
        # the highest grade counts though no candidate has it
        ({"p0": 1, "p1": 2, "p3": 0, "p4": -1, "p9": 4}, [0.25, 0.5, 0, 0, 0]),
        ({"p1": 0.3}, [0, 1, 0, 0, 0]),
        ({"p1": 0, "p2": -2}, [0, 0, 0, 0, 0]),
        ({}, [0, 0, 0, 0, 0]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_graded_passages_score_their_share_of_the_highest_grade(
    gold: Any, expected: list[float]
) -> None:
    question = Question("q", "?", metadata={"gold_ids": gold})
    assert GoldPassages().score(question, None, passages()) == expected
