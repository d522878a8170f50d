"""Questions: order, optional keys, answers by their index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.formats import (
    read_questions,
)
from radio.schema import Question


def test_questions_keep_their_order_and_optional_keys(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "b", "question": " Who? ", "golden_answers": ["Ada", "", "Ada L."], "metadata": '
        '{"hops": 2}, "x": 1}',
        "",
        '{"id": 7, "question": "What?", "golden_answers": ["x"]}',
    )
    assert read_questions(path) == [
        Question("b", "Who?", ("Ada", "Ada L."), (), {"hops": 2}),
        Question("7", "What?", ("x",)),
    ]


@pytest.mark.parametrize("answer", ["1", "[1]", '["b"]'])
def test_a_multiple_choice_answer_may_be_an_index(answer: str, file: Callable[..., Path]) -> None:
    path = file(
        f'{{"id": "m", "question": "Which?", "choices": ["a", "b"], "golden_answers": {answer}}}'
    )
    assert read_questions(path) == [Question("m", "Which?", ("b",), ("a", "b"))]


@pytest.mark.parametrize(
    ("answer", "choices", "expected"),
    [
        ("B", ["rope", "wind"], "wind"),
        (" b ", ["rope", "wind"], "wind"),
        # the text wins, and what may be meant as one
        ("B", ["B", "A"], "B"),
        ("A", ["B", " A"], "A"),
        ("b", ["B", "A"], "b"),
        # as they stand: no letter of theirs, another way to write a choice
        ("C", ["rope", "wind"], "C"),
        ("Wind", ["rope", "wind"], "Wind"),
        ("B", [], "B"),
    ],
)
def test_a_letter_of_the_choices_is_the_text_of_one(
    answer: str, choices: list[str], expected: str, file: Callable[..., Path]
) -> None:
    row = {"id": "m", "question": "Which?", "choices": choices, "golden_answers": [answer]}
    (question,) = read_questions(file(json.dumps(row)))
    assert question.golden_answers == (expected,)


@pytest.mark.parametrize("answers", ["", ', "golden_answers": []', ', "golden_answers": null'])
def test_questions_to_be_reranked_only_need_no_answers(
    answers: str, file: Callable[..., Path]
) -> None:
    path = file(f'{{"id": "q1", "question": "Who?"{answers}}}')
    assert read_questions(path, need_answers=False) == [Question("q1", "Who?")]
