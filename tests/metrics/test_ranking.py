"""Ranking metrics: known cases by hand, and the same as ir_measures."""

from __future__ import annotations

import math

import ir_measures
import numpy as np
import pytest

from radio.metrics.ranking import ranking_metrics, relevance_of


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        (
            [0, 1, 0, 1],
            {
                "RR": 1 / 2,
                "P@2": 1 / 2,
                "R@2": 1 / 2,
                "R@4": 1,
                "P@8": 1 / 4,
            },
        ),
        ([1, 0, 1], {"nDCG@1": 1, "nDCG@3": (1 + 1 / 2) / (1 + 1 / math.log2(3)), "RR": 1}),
        # linear gain, not 2^gain - 1
        (
            [0, 2, 3],
            {
                "nDCG@3": (2 / math.log2(3) + 3 / 2) / (3 + 2 / math.log2(3)),
                "nDCG@2": 2 / (3 * math.log2(3) + 2),
            },
        ),
        ([0, 0, 0], {"RR": 0, "nDCG@2": 0, "R@2": 0, "P@2": 0}),
        ([], {"RR": 0, "nDCG@2": 0, "R@2": 0, "P@2": 0}),
    ],
)
def test_ranking_metrics_by_hand(relevance: list[float], expected: dict[str, float]) -> None:
    assert ranking_metrics(relevance, list(expected)) == pytest.approx(expected)


def test_what_was_not_retrieved_stands_in_no_place() -> None:
    names = ["RR", "RR@10", "nDCG@5", "R@5", "R@50", "P@5"]
    assert set(ranking_metrics([0.0, 0.0], names, missed=[1.0]).values()) == {0.0}
    found = ranking_metrics([0.0, 1.0], names, missed=[1.0, 1.0])
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    expected = {"RR": 1 / 2, "RR@10": 1 / 2, "nDCG@5": 1 / math.log2(3) / ideal, "P@5": 1 / 5}
    assert found == pytest.approx({**expected, "R@5": 1 / 3, "R@50": 1 / 3})


def test_ranking_metrics_agree_with_ir_measures() -> None:
    rng = np.random.default_rng(0)
    gains = {
        f"q{i}": [float(g) for g in rng.choice([0, 0, 0, 1, 2, 3], size=rng.integers(3, 25))]
        for i in range(50)
    }
    qrels = [
        ir_measures.Qrel(q, f"d{rank}", int(gain))
        for q, row in gains.items()
        for rank, gain in enumerate(row)
    ]
    run = [
        ir_measures.ScoredDoc(q, f"d{rank}", -float(rank))
        for q, row in gains.items()
        for rank in range(len(row))
    ]
    names = ["RR"]
    for k in (1, 3, 5, 10):
        names += [f"RR@{k}", f"nDCG@{k}", f"R@{k}", f"P@{k}"]
    theirs = {
        (metric.query_id, str(metric.measure)): metric.value
        for metric in ir_measures.iter_calc(map(ir_measures.parse_measure, names), qrels, run)
    }
    for question, row in gains.items():
        expected = {name: theirs[question, name] for name in names}
        assert ranking_metrics(row, names) == pytest.approx(expected), question


@pytest.mark.parametrize(
    "name", ["map", "nDCG", "nDCG@0", "nDCG@x", "nDCG@٣", "R@-1", "RR@", "RR@10@5", ""]
)
def test_an_unknown_ranking_metric_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown metric '{name}': expected"):
        ranking_metrics([1.0], [name])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mrr", "RR"),
        ("mrr@10", "RR@10"),
        ("ndcg@5", "nDCG@5"),
        ("recall@20", "R@20"),
        ("precision@1", "P@1"),
        ("ndgc@3", "nDCG@3"),
    ],
)
def test_another_spelling_names_the_metric_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"unknown metric '{name}'.*; did you mean '{meant}'"):
        ranking_metrics([1.0], [name])


def test_relevance_follows_the_order_and_is_zero_where_unknown() -> None:
    assert relevance_of(["c", "a", "b"], {"a": 2.0, "b": 1.0}) == [0.0, 2.0, 1.0]
