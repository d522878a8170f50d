"""Measures: numbers of any ranking, and what a generator makes of its top passages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.evaluation.measure import (
    answer_numbers,
    order_of,
    ranking_numbers,
    read,
    tied_tops,
)
from radio.generators import Generator, Prompt, ask
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


class First(Generator):
    """Answers with the title of the first passage; ``_asked`` counts."""

    def __init__(self) -> None:
        self._asked: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        self._asked += prompts
        return [prompt.passages[0].title for prompt in prompts]


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


def test_each_ranking_is_read_to_each_depth_and_each_prompt_asked_once(tmp_path: Path) -> None:
    examples = {"q1": example(NAMED), "q2": example(VERDICT)}
    rankings = {
        "first": {"q1": {"a": 2.0, "c": 1.0}, "q2": {}},
        "second": {"q1": {"a": 1.0, "c": 2.0}, "q2": {}},
        "third": {"q1": {"a": 2.0, "c": 1.0}, "q2": {}},
    }
    generator, cache = First(), Cache(tmp_path / "cache.sqlite")

    def asked(prompts: list[Prompt]) -> list[str]:
        return ask(generator, prompts, cache)

    for _ in range(2):
        readings = read(rankings, examples, PASSAGES, (1, 2), asked)
        assert [(r.ranking, r.prompt.question.id, r.top_k) for r in readings] == [
            (name, question, depth)
            for name in rankings
            for question in examples
            for depth in (1, 2)
        ]
        answers = {(r.ranking, r.top_k): r.answer for r in readings if r.prompt.question.id == "q1"}
        assert answers["first", 1] == answers["third", 2] == "Lamps"
        assert answers["second", 1] == answers["second", 2] == "Ada"
        # without a passage nobody is asked
        assert {r.answer for r in readings if r.prompt.question.id == "q2"} == {""}
        numbers = {(r.ranking, r.top_k): r.numbers for r in readings}
        assert numbers["first", 1] == {"em": 0.0, "f1": 0.0}
    assert len(generator._asked) == 4


def test_an_answer_has_the_metrics_that_its_question_gives_grounds_for() -> None:
    passages = (PASSAGES["b"], PASSAGES["a"])
    named = answer_numbers(Prompt(NAMED, passages), "the Ada")
    assert named == {"em": 1.0, "f1": 1.0, "answer_in_context": 1.0}
    assert answer_numbers(Prompt(NAMED, passages[:1]), "Ada")["answer_in_context"] == 0.0
    assert answer_numbers(Prompt(VERDICT, passages), "no") == {"em": 0.0, "f1": 0.0}
    assert answer_numbers(Prompt(OPEN, passages), "a light") == {}
