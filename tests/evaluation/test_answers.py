"""Numbers of answers: what a question gives grounds for, and what groups of questions have."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.metrics import f1_score

from radio.evaluation.answers import (
    ANSWER_METRICS,
    answer_numbers,
    breakdown,
    overall,
    without_passages,
)
from radio.evaluation.reading import Reading
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators import Answer, Prompt
from radio.generators.tasks import TASKS
from radio.schema import Passage, Question

PASSAGES = {
    "a": Passage("a", "Lamps\nThe lamp was lit by Ada."),
    "b": Passage("b", "Ropes\nNobody knows."),
    "c": Passage("c", "Ada\nShe lit it."),
}
NAMED = Question("q1", "Who lit the lamp?", ("Ada",), metadata={"gold_ids": ["b", "x"]})
VERDICT = Question("q2", "Was it lit?", ("yes",))
OPEN = Question("q3", "What is a lamp?")
LETTERS = Question("q4", "Which?", ("B",), choices=("B", "A", "the", "D"))


def prompt(question: Question, passages: str = "") -> Prompt:
    return Prompt(question, tuple(PASSAGES[name] for name in passages))


def numbers(question: Question, passages: str, answer: str | None, reply: str = "") -> Any:
    return answer_numbers(prompt(question, passages), answer, reply, ANSWER_METRICS)


def test_an_answer_has_the_numbers_that_its_question_gives_grounds_for() -> None:
    assert numbers(NAMED, "ba", "the Ada", "It was Ada.") == {
        "em": 1.0,
        "f1": 1.0,
        "accuracy": 0.0,
        "unparsed": 0.0,
        "answer_in_output": 1.0,
        "answer_in_context": 1.0,
        "support_precision": 0.5,
        "support_recall": 0.5,
        "support_f1": 0.5,
        "all_hops": 0.0,
    }
    assert numbers(NAMED, "b", "Ada")["answer_in_context"] == 0.0
    verdict = {"em": 0.0, "f1": 0.0, "accuracy": 0.0, "unparsed": 0.0}
    assert numbers(VERDICT, "ba", "no", "no, not yes") == verdict
    assert numbers(OPEN, "ba", "a light") == {"unparsed": 0.0}
    # of a ranking that found nothing
    assert numbers(NAMED, "", "Ada")["answer_in_context"] == 0.0


def test_what_could_not_be_parsed_is_wrong_and_says_so() -> None:
    found = numbers(NAMED, "a", None, "Ada or so")
    wrong = {name: found[name] for name in ("em", "f1", "accuracy", "unparsed")}
    assert wrong == {"em": 0.0, "f1": 0.0, "accuracy": 0.0, "unparsed": 1.0}
    # what was written is another matter
    assert found["answer_in_output"] == 1.0


def test_only_what_is_asked_for_is_given_in_that_order() -> None:
    found = answer_numbers(prompt(NAMED, "a"), "Ada", "Ada", ["f1", "macro_f1", "em"])
    assert list(found) == ["f1", "em"]


def test_the_closed_book_has_no_metric_of_passages() -> None:
    kept = ["em", "f1", "accuracy", "unparsed", "answer_in_output", "macro_f1"]
    assert without_passages(ANSWER_METRICS) == kept
    metrics = ["accuracy", "macro_f1"]
    claim = Question("q", "?", ("REFUTES",), metadata={"gold_ids": ["a"]})
    closed = Reading(CLOSED_BOOK, 0, prompt(claim), Answer("x"), "REFUTES", {})
    assert breakdown([closed], metrics) == {}
    # a ranking that found nothing has no evidence
    found = breakdown([reading(claim, "")], metrics)
    assert found["accuracy by evidence"] == {"without evidence": {"mean": 0.0, "questions": 1}}


@pytest.mark.parametrize("task", TASKS)
def test_the_metrics_of_a_task_are_known(task: str) -> None:
    assert set(TASKS[task].metrics) <= set(ANSWER_METRICS)


def test_a_choice_is_its_text_and_a_letter_only_where_no_choice_is_called_so() -> None:
    def accuracy(question: Question, answer: str) -> float:
        return answer_numbers(Prompt(question, ()), answer, answer, ["accuracy"])["accuracy"]

    assert accuracy(LETTERS, "B") == 1.0
    assert accuracy(LETTERS, "A") == 0.0
    # no article is dropped, and nothing of nothing is right
    assert accuracy(Question("q", "?", ("the",), choices=("the", "")), "") == 0.0
    assert accuracy(Question("q", "?", ("wind",), choices=("rope", "wind")), "B") == 1.0
    assert accuracy(Question("q", "?", ("Pp",), choices=("PP", "Pp")), "PP") == 0.0


def reading(question: Question, answer: str | None, passages: str = "") -> Reading:
    return Reading("tuned", 1, prompt(question, passages), Answer(answer or ""), answer, {})


def test_choices_by_subject_and_category() -> None:
    rows = [("anatomy", "x"), ("astronomy", "x"), ("astronomy", "y"), ("virology", None)]
    readings = []
    for number, (subject, answer) in enumerate(rows):
        question = Question(str(number), "?", ("x",), ("x", "y"), {"subject": subject})
        readings.append(reading(question, answer))
    found = breakdown(readings, ["accuracy"])
    assert found == {
        "accuracy by subject": {
            "anatomy": {"mean": 1.0, "questions": 1},
            "astronomy": {"mean": 0.5, "questions": 2},
            "virology": {"mean": 0.0, "questions": 1},
        },
        "accuracy by category": {
            "Other": {"mean": 0.0, "questions": 1},
            "STEM": {"mean": 2 / 3, "questions": 3},
        },
        "accuracy by category, macro": {
            "Other": {"mean": 0.0, "questions": 1},
            "STEM": {"mean": 0.75, "questions": 3},
        },
    }
    of_hendrycks = breakdown(readings, ["accuracy"], "hendrycks")["accuracy by category"]
    assert of_hendrycks["Other"] == {"mean": 0.5, "questions": 2}
    assert breakdown(readings, ["em"]) == {}


def test_labels_of_all_questions_together_and_by_evidence() -> None:
    answers = ["SUPPORTS", "REFUTES", None, "REFUTES", "SUPPORTS"]
    golden = ["SUPPORTS", "SUPPORTS", "REFUTES", "REFUTES", "SUPPORTS"]
    readings = []
    for number, (answer, right) in enumerate(zip(answers, golden, strict=True)):
        # FEVER's claims have their labels as choices
        labels = ("SUPPORTS", "REFUTES")
        question = Question(str(number), "?", (right,), labels, {"gold_ids": ["a"]})
        readings.append(reading(question, answer, "a" if number < 3 else "b"))
    expected = f1_score(
        golden, [a or "none" for a in answers], average="macro", labels=["SUPPORTS", "REFUTES"]
    )
    assert overall(readings, ["accuracy", "macro_f1"]) == {"macro_f1": pytest.approx(expected)}
    assert overall(readings, ["accuracy"]) == {}
    assert overall([reading(OPEN, "x")], ["macro_f1"]) == {}
    found = breakdown(readings, ["accuracy", "macro_f1"])
    assert found["accuracy by evidence"] == {
        "with evidence": {"mean": 1 / 3, "questions": 3},
        "without evidence": {"mean": 1.0, "questions": 2},
    }
    # SUPPORTS: one of two found; REFUTES: found where it is not
    assert found["macro_f1 by evidence"]["with evidence"]["mean"] == pytest.approx((2 / 3 + 0) / 2)
