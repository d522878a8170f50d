"""Measures: numbers of any ranking."""

from __future__ import annotations

import math

import pytest

from radio.evaluation.measure import at_depths, order_of, ranking_numbers, tied_tops
from radio.schema import Candidate, Example, Passage, Question

PASSAGES = {
    "a": Passage("a", "Lamps\nThe lamp was lit by Ada."),
    "b": Passage("b", "Ropes\nNobody knows."),
    "c": Passage("c", "Ada\nShe lit it."),
}
NAMED = Question("q1", "Who lit the lamp?", ("Ada",), metadata={"gold_ids": {"b": 2, "x": 1}})
VERDICT = Question("q2", "Was it lit?", ("yes",))
OPEN = Question("q3", "What is a lamp?")


def example(question: Question, teacher: dict[str, float] | None = None) -> Example:
    candidates = tuple(Candidate(id_, rank, -rank) for rank, id_ in enumerate(PASSAGES))
    return Example(question, candidates, teacher)


def test_a_ranking_is_measured_against_answers_annotations_and_the_teacher() -> None:
    examples = {"q1": example(NAMED, {"a": 0.1, "b": 0.4, "c": 1.0})}
    run = {"q1": {"a": 0.5, "b": 2.0, "c": 1.0}}
    numbers = ranking_numbers(run, examples, PASSAGES, ["RR@10", "nDCG@2"])["q1"]
    # the order is b, c, a: answers in c and a, gold 2 in b, and 1 in one that was not retrieved
    ideal_of_answers = 1 + 1 / math.log2(3)
    teacher = (0.4 + 1 / math.log2(3)) / (1 + 0.4 / math.log2(3))
    assert numbers == pytest.approx(
        {
            "RR@10": 1 / 2,
            "nDCG@2": (1 / math.log2(3)) / ideal_of_answers,
            "gold_RR@10": 1.0,
            "gold_nDCG@2": 2 / (2 + 1 / math.log2(3)),
            "teacher_RR@10": 1 / 2,
            "teacher_nDCG@2": teacher,
        }
    )


def test_a_question_has_the_metrics_that_it_gives_grounds_for() -> None:
    examples = {"q2": example(VERDICT), "q3": example(OPEN, {"a": 0.0})}
    scores = {"a": 1.0, "b": 0.5}
    numbers = ranking_numbers({"q2": scores, "q3": scores}, examples, PASSAGES, ["RR@10"])
    assert numbers == {"q2": {}, "q3": {"teacher_RR@10": 1.0}}


def test_ties_are_ordered_by_id_and_counted_at_the_top() -> None:
    tied = {"b": 1.0, "a": 1.0, "c": 0.0}
    assert order_of(tied) == ["a", "b", "c"]
    assert tied_tops({"q1": tied, "q2": {"a": 1.0, "b": 0.0, "c": 0.0}, "q3": {}}) == 1


def test_metrics_at_several_depths_are_put_together() -> None:
    names = ["em@10", "em@2", "f1", "nDCG@5", "large_em@1", "large_em@3", "em"]
    found = at_depths(names)
    assert found == {"em": {2: "em@2", 10: "em@10"}, "large_em": {1: "large_em@1", 3: "large_em@3"}}
    assert list(found["em"]) == [2, 10]
