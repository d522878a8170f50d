"""The numbers of a comparison, against other libraries, and what is left out of it."""

from __future__ import annotations

from typing import Any

import ir_measures
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from radio.evaluation.measure import order_of
from radio.evaluation.teachers.measure import Compared, Curve, measure
from radio.schema import InputError, Run
from radio.text import has_answer
from tests.evaluation.teachers.comparing import (
    NAMES,
    QUESTIONS,
    Asking,
    comparison,
    examples,
    passages,
    run,
    teacher,
)


def judged(annotated: bool) -> dict[str, dict[str, int]]:
    """What is relevant, as ir_measures takes it."""
    found: dict[str, dict[str, int]] = {}
    for name, example in examples().items():
        if annotated:
            grades = {passage: int(grade) for passage, grade in example.question.gold.items()}
        else:
            grades = {}
            for passage in passages().values():
                holds = has_answer(passage.contents, example.question.golden_answers)
                grades[passage.id] = int(holds)
        if grades:
            found[name] = grades
    return found


def untied(scores: Run) -> Run:
    """The same orders without ties, which trec_eval would order the other way round."""
    return {
        question: {name: -float(place) for place, name in enumerate(order_of(row))}
        for question, row in scores.items()
    }


@pytest.mark.parametrize("annotated", [False, True])
def test_means_are_those_of_ir_measures(annotated: bool) -> None:
    document, _ = measure(comparison())
    prefix = "gold_" if annotated else ""
    qrels = judged(annotated)
    for seed, name in enumerate(NAMES):
        orders = {question: row for question, row in untied(run(seed)).items() if question in qrels}
        for metric in ("RR@10", "nDCG@5", "P@1"):
            expected = ir_measures.calc_aggregate(
                [ir_measures.parse_measure(metric)], qrels, orders
            )
            found = document["teachers"][name]["means"][prefix + metric]
            assert found == pytest.approx(next(iter(expected.values()))), (name, metric)
            assert document["teachers"][name]["counts"][prefix + metric] == len(qrels)


def test_differences_to_the_retriever_are_tested_as_by_scipy_and_statsmodels() -> None:
    document, rows = measure(comparison())
    for metric in ("nDCG@5", "gold_P@1"):
        tested, p_values = [], []
        for name in NAMES[1:]:
            pairs = [
                (row["teachers"][name][metric], row["teachers"][NAMES[0]][metric])
                for row in rows
                if metric in row["teachers"][name]
            ]
            first, second = np.array(pairs).T
            expected = stats.permutation_test(
                (first, second),
                lambda x, y, axis: np.mean(x - y, axis=axis),
                permutation_type="samples",
                vectorized=True,
                n_resamples=9_999,
                rng=np.random.default_rng(0),
            )
            found = document["teachers"][name]["differences"][metric]
            assert found["difference"] == pytest.approx(np.mean(first - second))
            assert found["low"] <= found["difference"] <= found["high"]
            assert found["p"] == pytest.approx(float(expected.pvalue))
            tested.append(found["p_holm"])
            p_values.append(found["p"])
        assert tested == pytest.approx(multipletests(p_values, method="holm")[1])
    assert document["teachers"][NAMES[0]]["differences"] == {}


def test_only_questions_that_all_have_scored_are_compared() -> None:
    teachers = [teacher(name, run(seed)) for seed, name in enumerate(NAMES)]
    some = {question: row for question, row in run(9).items() if question not in ("q1", "q4")}
    lacking = {"q1": "no rationale", "q4": "no rationale"}
    teachers[2] = Compared("other", teachers[2].about, some, lacking)
    document, rows = measure(comparison(teachers=teachers))
    assert (document["questions"], document["of_questions"]) == (QUESTIONS - 2, QUESTIONS)
    assert document["teachers"]["other"]["left_out"] == {"no rationale": 2}
    for name in NAMES:
        assert document["teachers"][name]["counts"]["nDCG@5"] == QUESTIONS - 2
    left_out = [row for row in rows if not row["compared"]]
    assert [row["id"] for row in left_out] == ["q1", "q4"]
    assert left_out[0]["left_out"] == {"other": "no rationale"}
    assert "nDCG@5" not in left_out[0]["teachers"]["retrieval"]
    assert left_out[0]["teachers"]["retrieval"]["passage_ids"] == order_of(run(0)["q1"])


def test_nothing_to_compare_says_who_lacks_what() -> None:
    teachers = [teacher(name, run(seed)) for seed, name in enumerate(NAMES)]
    teachers[1] = Compared("configured", teachers[1].about, {}, dict.fromkeys(run(0), "no answers"))
    with pytest.raises(InputError, match=r"no question of validation that all teachers can score"):
        measure(comparison(teachers=teachers))
    with pytest.raises(InputError, match=r"configured 0 of 12 \(12 no answers\)"):
        measure(comparison(teachers=teachers))


def test_a_tied_order_is_that_of_the_ids_and_is_counted() -> None:
    flat: Run = {question: dict.fromkeys(row, 0.5) for question, row in run(0).items()}
    top = {question: {**row, "p5": 0.9, "p2": 0.9} for question, row in flat.items()}
    teachers = [teacher("retrieval", run(0)), teacher("flat", flat), teacher("top", top)]
    document, rows = measure(comparison(teachers=teachers))
    assert document["teachers"]["flat"]["all_tied"] == QUESTIONS
    assert document["teachers"]["top"]["all_tied"] == 0
    assert document["teachers"]["top"]["tied_tops"] == QUESTIONS
    assert rows[0]["teachers"]["flat"]["passage_ids"] == [f"p{n}" for n in range(7)]
    assert rows[0]["teachers"]["top"]["passage_ids"][:2] == ["p2", "p5"]
    assert document["teachers"]["flat"]["means"]["entropy_share"] == pytest.approx(1.0)
    assert document["agreement"]["tau_b"]["flat"]["top"] is None
    assert document["agreement"]["undefined"]["flat"]["top"] == QUESTIONS


# The generator


def test_each_distinct_top_is_asked_for_once() -> None:
    asking = Asking()
    curve = Curve("configured", "retrieval", run(1), run(0))
    document, rows = measure(comparison(readers=[asking.reader()], curve=curve))
    asked = [(prompt.question.id, *(p.id for p in prompt.passages)) for prompt in asking.prompts]
    assert len(asked) == len(set(asked))
    assert document["generators"][0]["total"]["prompts"] == len(asked)
    tops = set()
    for row in rows:
        for found in row["teachers"].values():
            for depth in (1, 3):
                tops.add((row["id"], *found["passage_ids"][:depth]))
    # the rest is what the curve has of its own
    assert tops < set(asked)
    for name in NAMES:
        numbers = document["teachers"][name]
        golden = {question: e.question.golden_answers[0] for question, e in examples().items()}
        right = []
        for row in rows:
            first = passages()[row["teachers"][name]["passage_ids"][0]]
            right.append(float(first.contents.endswith(f"{golden[row['id']]}.")))
        assert numbers["means"]["em@1"] == pytest.approx(np.mean(right))
        # the reader looks at the first passage alone
        assert numbers["means"]["em@3"] == numbers["means"]["em@1"]


def test_a_question_without_an_answer_is_left_out_of_the_generators_figures_of_all() -> None:
    asking = Asking(failing=["q2"])
    document, rows = measure(comparison(readers=[asking.reader()]))
    for name in NAMES:
        assert document["teachers"][name]["counts"]["em@1"] == QUESTIONS - 1
        assert document["teachers"][name]["counts"]["nDCG@5"] == QUESTIONS
        assert "em@1" not in rows[2]["teachers"][name]
    assert document["generators"][0]["failed_questions"] == 1
    with pytest.raises(InputError, match="gave no answer about any of 12 questions: no answer"):
        measure(comparison(readers=[Asking(failing=list(examples())).reader()]))


def test_without_a_generator_there_are_no_figures_of_one() -> None:
    document, _ = measure(comparison())
    assert document["metrics"] == [
        "RR@10",
        "nDCG@5",
        "P@1",
        "gold_RR@10",
        "gold_nDCG@5",
        "gold_P@1",
    ]
    assert document["generators"] == []


# The curve


def test_the_curve_ends_where_its_teachers_are() -> None:
    asking = Asking()
    curve = Curve("configured", "retrieval", run(1), run(0), weight=0.3)
    document, _ = measure(comparison(readers=[asking.reader()], curve=curve))
    found = document["curve"]
    assert (found["first"], found["second"], found["configured"]) == (
        "configured",
        "retrieval",
        0.3,
    )
    points = found["points"]
    assert [point["weight"] for point in points] == [n / 10 for n in range(11)]
    for point, name in ((points[0], "retrieval"), (points[-1], "configured")):
        for metric, value in point["means"].items():
            assert value == pytest.approx(document["teachers"][name]["means"][metric])
    assert {"nDCG@5", "P@1", "em@1", "f1@3"} <= points[4]["means"].keys()


def test_questions_that_a_part_of_the_curve_lacks_are_not_on_it() -> None:
    some = {question: row for question, row in run(1).items() if question != "q0"}
    document, _ = measure(comparison(curve=Curve("a", "b", some, run(0))))
    assert document["curve"]["points"][5]["counts"]["nDCG@5"] == QUESTIONS - 1


def test_no_curve_is_none() -> None:
    document: dict[str, Any] = measure(comparison())[0]
    assert document["curve"] is None


def test_without_a_temperature_a_question_whose_scores_are_all_0_has_no_entropy() -> None:
    zero = {**run(1), "q0": dict.fromkeys(run(1)["q0"], 0.0)}
    teachers = [teacher("retrieval", run(0)), teacher("some", zero)]
    document, _ = measure(comparison(teachers=teachers, temperature=None))
    assert document["teachers"]["some"]["counts"]["entropy_share"] == QUESTIONS - 1
    assert document["temperature"]["value"] is None
