"""Rankings by name: those of the run, and those that an evaluation makes by itself."""

from __future__ import annotations

import pytest

from radio.evaluation.measure import order_of
from radio.evaluation.systems import SYSTEMS, check_rankings, chosen, in_order
from radio.schema import Candidate, Example, InputError, Passage, Question, Run

PASSAGES = {name: Passage(name, name) for name in "abcdef"}


def example(
    question_id: str, teacher: dict[str, float] | None = None, gold: object = None
) -> Example:
    question = Question(question_id, "Who?", ("Ada",), metadata={"gold_ids": gold})
    # neither by id nor by place in the list: the ranks say it
    ranks = {"d": 2, "b": 0, "a": 3, "c": 1}
    candidates = tuple(Candidate(name, rank, -rank) for name, rank in ranks.items())
    return Example(question, candidates, teacher)


def made(name: str, *examples: Example) -> dict[str, list[str]]:
    """The order that a ranking of this name has for each question."""
    by_id = {example.question.id: example for example in examples}
    retriever: Run = {}
    for question_id, known in by_id.items():
        retriever[question_id] = {c.passage_id: c.score for c in known.candidates}
    run = chosen("a test", [name], {"retriever": retriever}, by_id, PASSAGES)[name]
    return {question_id: order_of(scores) for question_id, scores in run.items()}


def test_the_teachers_order_has_ties_in_the_order_of_the_retriever() -> None:
    taught = example("q", {"a": 1.0, "b": 0.2, "c": 0.2, "d": 0.2})
    assert made("teacher", taught, example("untaught")) == {"q": ["a", "b", "c", "d"]}


def test_annotated_passages_come_first_by_grade_whether_or_not_they_were_found() -> None:
    graded = example("q1", gold={"d": 1, "e": 2, "x": 3, "a": 0})
    # x is in no corpus, a is annotated as not relevant
    assert made("annotated", graded) == {"q1": ["e", "d", "b", "c", "a"]}
    alike = example("q2", gold=["f", "a", "c"])
    assert made("annotated", alike, example("q3")) == {"q2": ["c", "a", "f", "b", "d"]}
    lost = example("q4", gold=["x"])
    assert list(made("annotated", alike, lost)) == ["q2"]


def test_a_random_order_is_that_of_the_question_and_always_the_same() -> None:
    orders = [made("random", example(f"q{n}"))[f"q{n}"] for n in range(30)]
    assert orders == [made("random", example(f"q{n}"))[f"q{n}"] for n in range(30)]
    assert {tuple(sorted(order)) for order in orders} == {tuple("abcd")}
    assert len(set(map(tuple, orders))) > 10
    # every passage comes first now and then
    assert {order[0] for order in orders} == set("abcd")
    nothing = Example(Question("none", "Who?"), ())
    assert made("random", nothing) == {"none": []}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "teacher",
            "no question has teacher scores; the split needs rationales .*rationale_splits",
        ),
        ("annotated", "no question has annotated passages that the corpus has; .*gold_ids"),
    ],
)
def test_a_ranking_that_no_question_has_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"found '{name}', but {message}"):
        made(name, example("q"))


def test_names_that_there_are_not_are_refused() -> None:
    with pytest.raises(InputError, match="found 'tuend', expected some of random, retriever"):
        check_rankings("a test", ["base", "tuend"])
    with pytest.raises(InputError, match=r"found 'closed_book'.*a setting of its own"):
        check_rankings("a test", ["closed_book"])
    with pytest.raises(InputError, match=r"found \[\]"):
        check_rankings("a test", [])
    check_rankings("a test", [name for name in SYSTEMS if name != "closed_book"])


def test_systems_are_shown_in_one_order_and_those_of_others_at_the_end() -> None:
    assert in_order(["mine", "annotated", "tuned", "closed_book", "base", "tuned"]) == [
        "closed_book",
        "base",
        "tuned",
        "annotated",
        "mine",
    ]


def test_a_ranking_of_the_run_that_was_not_made_is_left_out() -> None:
    run: Run = {"q": {"a": 1.0}}
    found = chosen(
        "a test", ["tuned", "base", "retriever"], {"retriever": run, "tuned": run}, {}, {}
    )
    assert list(found) == ["retriever", "tuned"]
