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
                "mrr": 1 / 2,
                "precision@2": 1 / 2,
                "recall@2": 1 / 2,
                "recall@4": 1,
                "precision@8": 1 / 4,
            },
        ),
        ([1, 0, 1], {"ndcg@1": 1, "ndcg@3": (1 + 1 / 2) / (1 + 1 / math.log2(3)), "mrr": 1}),
        # linear gain, not 2^gain - 1
        (
            [0, 2, 3],
            {
                "ndcg@3": (2 / math.log2(3) + 3 / 2) / (3 + 2 / math.log2(3)),
                "ndcg@2": 2 / (3 * math.log2(3) + 2),
            },
        ),
        ([0, 0, 0], {"mrr": 0, "ndcg@2": 0, "recall@2": 0, "precision@2": 0}),
        ([], {"mrr": 0, "ndcg@2": 0, "recall@2": 0, "precision@2": 0}),
    ],
)
def test_ranking_metrics_by_hand(relevance: list[float], expected: dict[str, float]) -> None:
    assert ranking_metrics(relevance, list(expected)) == pytest.approx(expected)


def test_what_was_not_retrieved_stands_in_no_place() -> None:
    names = ["mrr", "ndcg@5", "recall@5", "recall@50", "precision@5"]
    assert set(ranking_metrics([0.0, 0.0], names, missed=[1.0]).values()) == {0.0}
    found = ranking_metrics([0.0, 1.0], names, missed=[1.0, 1.0])
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    expected = {"mrr": 1 / 2, "ndcg@5": 1 / math.log2(3) / ideal, "precision@5": 1 / 5}
    assert found == pytest.approx({**expected, "recall@5": 1 / 3, "recall@50": 1 / 3})


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
    names = {"mrr": "RR"}
    for k in (1, 3, 5, 10):
        names |= {f"ndcg@{k}": f"nDCG@{k}", f"recall@{k}": f"R@{k}", f"precision@{k}": f"P@{k}"}
    theirs = {
        (metric.query_id, str(metric.measure)): metric.value
        for metric in ir_measures.iter_calc(
            map(ir_measures.parse_measure, names.values()), qrels, run
        )
    }
    for question, row in gains.items():
        ours = ranking_metrics(row, list(names))
        assert ours == pytest.approx({name: theirs[question, names[name]] for name in names}), (
            question
        )


@pytest.mark.parametrize("name", ["map", "ndcg", "ndcg@0", "ndcg@x", "recall@-1", "mrr@5", ""])
def test_an_unknown_ranking_metric_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown metric '{name}': expected"):
        ranking_metrics([1.0], [name])


def test_relevance_follows_the_order_and_is_zero_where_unknown() -> None:
    assert relevance_of(["c", "a", "b"], {"a": 2.0, "b": 1.0}) == [0.0, 2.0, 1.0]
