"""Metrics: known cases by hand, and the ranking measures against ir_measures, the bootstrap against
scipy."""

from __future__ import annotations

import math
import unicodedata

import ir_measures
import numpy as np
import pytest
from scipy import stats

from radio.evaluation.statistics import bootstrap_interval
from radio.metrics.answers import exact_match, f1
from radio.metrics.ranking import ranking_metrics, relevance_of
from radio.text import findable, has_answer


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Paris", ["Paris"], 1),
        ("the  PARIS.", ["Paris"], 1),
        ("An apple a day", ["apple day"], 1),
        ("theatre", ["atre"], 0),
        ("U.S.", ["us"], 1),
        ("Paris", ["Rome", "Paris"], 1),
        ("Paris, France", ["Paris"], 0),
        ("", ["Paris"], 0),
        ("", [""], 0),
        ("the", ["a"], 0),
        ("Paris", [], 0),
    ],
)
def test_exact_match(prediction: str, answers: list[str], expected: float) -> None:
    assert exact_match(prediction, answers) == expected


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Paris", ["paris"], 1),
        ("the capital Paris", ["Paris"], 2 / 3),
        ("red red blue", ["red blue blue"], 2 / 3),
        ("Lyon", ["Paris"], 0),
        ("big Paris", ["Rome", "Paris", "big city of Paris"], 2 / 3),
        ("yes", ["Yes."], 1),
        ("yes", ["no"], 0),
        ("yes it is", ["yes"], 0),
        ("yes", ["yes it is"], 0),
        ("noanswer", ["noanswer to that"], 0),
        ("", ["Paris"], 0),
        ("", [""], 0),
        ("Paris", [], 0),
    ],
)
def test_f1(prediction: str, answers: list[str], expected: float) -> None:
    assert f1(prediction, answers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("contents", "answers", "expected"),
    [
        ("It stands in Paris, France.", ["paris"], True),
        ("It stands in\nParis (France).", ["Paris, France"], True),
        ("A comparison of towns", ["Paris", "paris on"], False),
        ("Parisian life", ["Paris"], False),
        ("France, not far from Paris", ["Paris France"], False),
        ("Nothing here", ["", "?!", "nothing"], True),
        ("Nothing here", ["", "?!"], False),
        ("", ["Paris"], False),
        ("Paris", [], False),
        # DPR keeps combining marks inside a token: an accent is no token border
        ("Åse Berg", ["se"], False),
        ("Åse Berg", ["åse berg"], True),
        ("हिन्दी", ["ह"], False),
    ],
)
def test_has_answer_respects_token_borders(
    contents: str, answers: list[str], expected: bool
) -> None:
    assert has_answer(contents, answers) is expected


@pytest.mark.parametrize("word", ["José", "Zürich", "Åse", "naïve"])
def test_has_answer_does_not_care_how_accents_are_encoded(word: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)
    assert composed != decomposed
    assert has_answer(f"so {composed} it is", [decomposed])
    assert has_answer(f"so {decomposed} it is", [composed.upper()])


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


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_bootstrap_interval_is_close_to_scipys(level: float) -> None:
    values = np.random.default_rng(1).gamma(1.0, size=80)
    low, high = bootstrap_interval(values, level=level)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.04 * width)
    assert high == pytest.approx(theirs.high, abs=0.04 * width)


def test_bootstrap_interval_repeats_and_depends_on_the_seed() -> None:
    values = np.random.default_rng(4).normal(size=30)
    assert bootstrap_interval(values) == bootstrap_interval(values.tolist())
    assert bootstrap_interval(values, resamples=200) != bootstrap_interval(
        values, resamples=200, seed=1
    )


def test_bootstrap_interval_of_one_value_is_that_value() -> None:
    assert bootstrap_interval([0.25, 0.25]) == bootstrap_interval([0.25]) == (0.25, 0.25)


def test_bootstrap_interval_of_nothing_is_unknown() -> None:
    assert all(map(math.isnan, bootstrap_interval([])))


def test_bootstrap_interval_of_a_large_set_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(size=100_000)
    low, high = bootstrap_interval(values, resamples=300)
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(len(values)), rel=0.2)
    assert low < values.mean() < high


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (["Paris"], True),
        (["yes"], False),
        (["No", "Nope"], True),
        (["SUPPORTS"], False),
        (["NOT_ENOUGH_INFO"], False),
        (["?!"], False),
        ([], False),
    ],
)
def test_a_verdict_cannot_be_found_in_a_passage(answers: list[str], found: bool) -> None:
    assert findable(answers) is found
