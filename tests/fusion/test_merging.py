"""Merged rankings equal those of a slow and plain program, whatever the lengths, ties and order."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, get_args

import numpy as np
import pytest
from scipy.stats import rankdata, zscore

from radio.fusion import Merge, Method, Ranking
from radio.fusion.merging import checked_weights
from radio.schema import InputError

SUMS = [method for method in get_args(Method) if method != "interleave"]
every_sum = pytest.mark.parametrize("method", SUMS)


def drawn(seed: int, lists: int = 3, ties: bool = True) -> list[dict[str, float]]:
    """Rankings of different lengths that share some of their passages; one may be empty."""
    rng = random.Random(seed)
    rankings = []
    for _ in range(lists):
        names = rng.sample([f"p{number}" for number in range(12)], rng.randrange(0, 9))
        scores = [rng.randrange(4) if ties else rng.gauss(0, 1) for _ in names]
        ranking = zip(names, sorted(scores, reverse=True), strict=True)
        rankings.append({name: float(score) for name, score in ranking})
    return rankings


def oracle_value(method: str, ranking: Ranking, passage: str, k: float) -> float:
    """What a ranking makes of a passage, by scipy and numpy."""
    scores = np.array(list(ranking.values()))
    if passage not in ranking:
        return oracle_lowest(method, scores)
    place = list(ranking).index(passage)
    ranks = rankdata(-scores, method="average")
    if method == "reciprocal_rank":
        return float(1 / (k + ranks[place]))
    if scores.max() == scores.min():
        return 0.0 if method == "z_score" else 0.5
    if method == "rank":
        return float((len(scores) - ranks[place]) / (len(scores) - 1))
    if method == "z_score":
        return float(zscore(scores)[place])
    return float((scores[place] - scores.min()) / np.ptp(scores))


def oracle_lowest(method: str, scores: Any) -> float:
    if method != "z_score" or not len(scores) or scores.max() == scores.min():
        return 0.0
    return float(zscore(scores).min())


@pytest.mark.parametrize("seed", range(20))
@every_sum
def test_a_weighted_sum_equals_that_of_scipy_passage_by_passage(method: Any, seed: int) -> None:
    rankings, weights = drawn(seed), [0.5, 0.2, 0.3]
    found = Merge(method, weights, k=7.0)(rankings)
    assert set(found) == {name for ranking in rankings for name in ranking}
    for name, score in found.items():
        values = [oracle_value(method, ranking, name, 7.0) for ranking in rankings]
        assert score == pytest.approx(float(np.dot(weights, values)), abs=1e-9)
    descending = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    assert list(found.items()) == descending


@pytest.mark.parametrize("seed", range(20))
def test_reciprocal_ranks_are_exact_fractions(seed: int) -> None:
    rankings = drawn(seed, ties=False)
    sums: dict[str, Fraction] = {}
    for ranking in rankings:
        for place, name in enumerate(ranking, 1):
            sums[name] = sums.get(name, Fraction(0)) + Fraction(1, 60 + place)
    expected = sorted(sums, key=lambda name: (-sums[name], name))
    assert list(Merge("reciprocal_rank")(rankings)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_interleaving_orders_by_the_best_rank_and_then_by_the_list(seed: int) -> None:
    rankings = drawn(seed)
    first: dict[str, tuple[int, int]] = {}
    for number, ranking in enumerate(rankings):
        for place, name in enumerate(ranking):
            first[name] = min(first.get(name, (99, 99)), (place, number))
    found = Merge("interleave")(rankings)
    assert list(found) == sorted(first, key=lambda name: first[name])
    assert list(found.values()) == [float(n) for n in range(len(found), 0, -1)]


def test_interleaving_takes_turns_and_a_passage_once() -> None:
    one, two = {"a": 9.0, "b": 8.0, "c": 7.0}, {"b": 1.0, "d": 0.5}
    assert list(Merge("interleave")([one, two])) == ["a", "b", "d", "c"]
    assert list(Merge("interleave")([two, one])) == ["b", "a", "d", "c"]


@pytest.mark.parametrize("seed", range(10))
@every_sum
def test_the_order_of_lists_and_of_their_tied_passages_changes_nothing(
    method: Any, seed: int
) -> None:
    rankings, rng = drawn(seed), random.Random(seed)
    expected = Merge(method)(rankings)
    for order in itertools.permutations(rankings):
        shuffled = []
        for ranking in order:
            items = list(ranking.items())
            rng.shuffle(items)
            shuffled.append(dict(sorted(items, key=lambda item: -item[1])))
        assert list(Merge(method)(shuffled).items()) == list(expected.items())


@every_sum
def test_sums_that_are_equal_are_ordered_by_id_alone(method: Any) -> None:
    assert list(Merge(method)([{"b": 1.0, "a": 0.0}, {"a": 1.0, "b": 0.0}])) == ["a", "b"]
    # a sum of thirds that differs by rounding from another of the same
    weights = [0.1, 0.2, 0.7]
    same = [{"b": 1.0, "a": 1.0, "c": 0.0}] * 3
    found = Merge(method, weights)(same)
    assert found["a"] == found["b"]
    assert list(found) == ["a", "b", "c"]


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("rankings", [[{}, {}], [{"a": 3.0}, {}], [{"a": 3.0}, {"a": -1.0}]])
def test_no_passage_and_a_single_one_are_ranked_too(
    method: Any, rankings: Sequence[Ranking]
) -> None:
    found = Merge(method)(rankings)
    assert list(found) == sorted({name for ranking in rankings for name in ranking})
    assert all(np.isfinite(list(found.values())))


def test_a_passage_of_both_lists_beats_better_ones_of_a_single_list() -> None:
    lists = [{"x": 9.0, "both": 8.0}, {"y": 9.0, "both": 8.0}]
    assert next(iter(Merge("reciprocal_rank")(lists))) == "both"
    # with min-max the last of a list is worth no more than one that the list lacks
    assert list(Merge("min_max")(lists)) == ["x", "y", "both"]


def test_a_weight_of_0_leaves_the_order_to_the_others() -> None:
    lists = [{"a": 2.0, "b": 1.0}, {"b": 5.0, "c": 4.0, "a": 3.0}]
    assert list(Merge("min_max", [1.0, 0.0])(lists)) == ["a", "b", "c"]
    assert list(Merge("min_max", [0.0, 1.0])(lists)) == ["b", "c", "a"]


class Part:
    """Whose settings are checked."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("borda", None, None), "method: found 'borda', expected one of interleave, recip"),
        (("min_max", None, 60.0), "k: found 60.0 with method 'min_max', which takes none"),
        (("interleave", [1, 2], None), r"weights: found \[1, 2\] with method 'interleave'"),
        (("interleave", "learnt", None), "weights: found learnt with method 'interleave'"),
        (("min_max", "learned", None), "weights: found 'learned', expected numbers, 'learnt'"),
        (("min_max", [1.0], None), "weights: found 1 of them for 2 lists, expected one for each"),
        (("min_max", [0.0, 0.0], None), "weights: found 0 for every list"),
        (("min_max", 1.5, None), "weights: found 1.5, expected the share of the first list"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: Any, message: str) -> None:
    method, weights, k = settings
    with pytest.raises(InputError, match=f"^Part: {message}"):
        checked_weights(Part(), method, weights, k, 2, "list")


def test_weights_become_shares() -> None:
    assert checked_weights(Part(), "min_max", [1.0, 3.0], None, 2, "list") == [0.25, 0.75]
    assert checked_weights(Part(), "rank", 0.25, None, 2, "list") == [0.25, 0.75]
    assert checked_weights(Part(), "rank", None, None, 2, "list") == [0.5, 0.5]
    assert checked_weights(Part(), "interleave", None, None, 2, "list") is None
    assert checked_weights(Part(), "rank", "learnt", None, 2, "list") == "learnt"
