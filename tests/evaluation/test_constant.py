"""An answer that is always the same is noticed, unless it is always right."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from radio.evaluation.constant import Constant, constants
from radio.evaluation.reading import NOTHING, Reading
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators import Answer, Prompt
from radio.schema import Question


def reading(
    number: int,
    parsed: str | None,
    right: float,
    *,
    system: str = "base",
    depth: int = 3,
    choices: Sequence[str] = (),
) -> Reading:
    task = "multiple_choice" if choices else "fact_verification"
    question = Question(f"q{number}", "Is it so?", ("SUPPORTS",), tuple(choices))
    asked = Prompt(question, (), task)
    numbers = {"accuracy": right}
    return Reading(system, depth, asked, Answer(parsed or ""), parsed, numbers)


def test_one_answer_to_all_that_is_often_wrong_is_found() -> None:
    readings = [reading(n, "REFUTES", float(n % 2)) for n in range(39)]
    readings.append(reading(39, "SUPPORTS", 1.0))
    (found,) = constants(readings, "accuracy")
    assert found == Constant("base", 3, "REFUTES", 39, 40)
    assert str(found) == "'REFUTES' to 39 of 40 questions (base, reads 3)"


@pytest.mark.parametrize(
    "readings",
    [
        [reading(n, "REFUTES", 0.0) for n in range(19)],
        [reading(n, "REFUTES" if n < 37 else "SUPPORTS", 0.0) for n in range(40)],
        [reading(n, "SUPPORTS", 1.0) for n in range(40)],
        [reading(n, None, 0.0) for n in range(40)],
        [reading(n, "REFUTES", 0.0, depth=n % 4) for n in range(40)],
        [],
    ],
    ids=["too few", "not all", "right", "unparsed", "of other depths", "none"],
)
def test_others_are_not(readings: list[Reading]) -> None:
    assert constants(readings, "accuracy") == []


def test_of_choices_the_letter_counts() -> None:
    readings = []
    for number in range(20):
        choices = (f"red {number}", f"blue {number}")
        first = reading(number, choices[0], float(number % 2), choices=choices)
        readings.append(first)
    (found,) = constants(readings, "accuracy")
    assert (found.said, found.count) == ("A", 20)


def test_the_closed_book_reads_none_and_nobody_answers_without_being_asked() -> None:
    readings = [reading(n, "no", 0.0, system=CLOSED_BOOK, depth=0) for n in range(20)]
    assert str(constants(readings, "accuracy")[0]) == "'no' to 20 of 20 questions (closed_book)"
    for found in readings:
        object.__setattr__(found, "answer", NOTHING)
    assert constants(readings, "accuracy") == []
