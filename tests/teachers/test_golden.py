"""What a model would have to reply, as the prompt asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from radio.generators.prompting import GeneratorTemplate
from radio.generators.tasks import TASKS
from radio.schema import InputError, Question
from radio.teachers.golden import right_replies


def question(*golden: str, **others: Any) -> Question:
    return Question("q1", "Who lit the lamp?", golden, **others)


@pytest.mark.parametrize("task", ["open_qa", "multi_hop"])
def test_an_open_question_has_its_golden_answers_each_once(task: str) -> None:
    assert right_replies(question("Ada", " ", "Bo ", "Ada"), task) == ["Ada", "Bo"]


def test_a_choice_has_its_letter() -> None:
    choices = ("fog", "a lamp", "Ada")
    golden = ("Ada", "c", "a lamp", "rope")
    assert right_replies(question(*golden, choices=choices), "multiple_choice") == ["C", "B"]
    # as the prompt shows it
    shown = GeneratorTemplate("closed_book_choice", shows_passages=False)
    assert "C) Ada" in shown.render(question(choices=choices))
    # the text of an option wins over the letter of another
    assert right_replies(question("B", choices=("AB", "O", "B")), "multiple_choice") == ["C"]
    assert right_replies(question("Ada"), "multiple_choice") == ["Ada"]


@pytest.mark.parametrize(
    ("golden", "reply"),
    [
        ("SUPPORTS", "SUPPORTS"),
        ("refutes", "REFUTES"),
        ("NOT_ENOUGH_INFO", "NOT ENOUGH INFO"),
        ("true", "SUPPORTS"),
    ],
)
def test_a_claim_has_the_label_that_the_prompt_lists(golden: str, reply: str) -> None:
    asked = question(golden)
    assert right_replies(asked, "fact_verification") == [reply]
    shown = GeneratorTemplate("closed_book_fact", shows_passages=False)
    assert reply in shown.render(asked)


def test_labels_of_the_question_are_as_it_spells_them() -> None:
    asked = question("half_true", choices=("true", "half_true", "false"))
    assert right_replies(asked, "fact_verification") == ["half true"]


@pytest.mark.parametrize(
    ("task", "asked", "message"),
    [
        (
            "open_qa",
            question(),
            r"question 'q1': golden_answers: found \[\], expected at least one",
        ),
        ("open_qa", question(" "), r"found \[' '\], expected at least one that is not blank"),
        (
            "multiple_choice",
            question("rope", choices=("fog", "tide")),
            "one of its choices, 'fog', 'tide'",
        ),
        ("fact_verification", question("perhaps so"), "one of the labels SUPPORTS, REFUTES"),
    ],
)
def test_a_question_without_a_right_reply_is_named(
    task: str, asked: Question, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        right_replies(asked, task)


def test_every_task_is_known() -> None:
    for task in TASKS:
        assert right_replies(question("SUPPORTS"), task) == ["SUPPORTS"]
