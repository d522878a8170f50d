"""Normalisations: each equals an independent formula, and none minds scale, order or ties."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax
from scipy.stats import entropy as scipy_entropy
from scipy.stats import rankdata, zscore

from radio.normalising import (
    Normalisation,
    entropy,
    mean_ranks,
    min_max,
    normaliser,
    rank,
    reciprocal_rank,
    rescaled,
    softmax,
    softmax_of_entropy,
    z_score,
)

SETTINGS = {"softmax": 0.3, "entropy": 0.6, "reciprocal_rank": 60.0}
every_normalisation = pytest.mark.parametrize("name", get_args(Normalisation))


def made(name: Normalisation) -> Callable[[Sequence[float]], list[float]]:
    return normaliser(name, SETTINGS.get(name, 0.0))


def drawn(count: int = 50, scale: float = 1.0) -> list[float]:
    rng = random.Random(0)
    return [rng.gauss(0, 1) * scale for _ in range(count)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 3.0, 2.0], [0, 1, 0.5]),
        ([-5.0, -5.0, -1.0], [0, 0, 1]),
        ([0.7, 0.7, 0.7], [0.5, 0.5, 0.5]),
        ([3.0], [0.5]),
        ([], []),
    ],
)
def test_min_max(scores: list[float], expected: list[float]) -> None:
    assert min_max(scores) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e300])
def test_min_max_stays_in_range_and_keeps_the_order(scale: float) -> None:
    scores = drawn(scale=scale)
    scaled = min_max(scores)
    assert min(scaled) == 0
    assert max(scaled) == 1
    assert sorted(range(50), key=scaled.__getitem__) == sorted(range(50), key=scores.__getitem__)


def test_each_equals_its_formula() -> None:
    scores = [round(score, 1) for score in drawn(40)]  # some of them tie
    assert len(set(scores)) < 40
    ranks = rankdata([-score for score in scores])
    assert z_score(scores) == pytest.approx(zscore(scores), abs=1e-12)
    assert mean_ranks(scores) == ranks.tolist()
    assert rank(scores) == pytest.approx(1 - (ranks - 1) / 39)
    assert reciprocal_rank(scores) == pytest.approx(1 / (60 + ranks))
    assert reciprocal_rank(scores, 0) == pytest.approx(1 / ranks)
    assert softmax(scores, 0.3) == pytest.approx(scipy_softmax(np.array(scores) / 0.3))
    assert entropy(softmax(scores)) == pytest.approx(scipy_entropy(scipy_softmax(scores)))
    assert entropy([0.0, 1.0]) == 0


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("count", [2, 7, 50])
@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1.0, 1e8, 1e300])
def test_the_entropy_is_the_one_that_was_asked_for(share: float, count: int, scale: float) -> None:
    scores = drawn(count, scale)
    found = softmax_of_entropy(scores, share)
    assert scipy_entropy(found) == pytest.approx(share * math.log(count), rel=1e-6)
    assert math.fsum(found) == pytest.approx(1)
    order = sorted(range(count), key=scores.__getitem__)
    assert [found[place] for place in order] == sorted(found)
    # it is a softmax: logarithms are a line over the scores
    kept = [place for place in range(count) if found[place] > 1e-200]
    logs = np.log([found[place] for place in kept])
    line = np.polyfit([scores[place] / scale for place in kept], logs, 1)
    assert logs == pytest.approx(
        np.polyval(line, [scores[place] / scale for place in kept]), abs=1e-6
    )


def test_an_entropy_below_that_of_ties_at_the_top_is_that_of_the_ties() -> None:
    assert softmax_of_entropy([3, 3, 1, 2], 0.2) == pytest.approx([0.5, 0.5, 0, 0])
    # what can be reached is: log 2 is half of log 4
    assert scipy_entropy(softmax_of_entropy([3, 3, 1, 2], 0.7)) == pytest.approx(0.7 * math.log(4))
    # two floats apart
    near = softmax_of_entropy([1.0, math.nextafter(1.0, 0), 0.0], 0.1)
    assert scipy_entropy(near) == pytest.approx(0.1 * math.log(3), rel=1e-6)


@every_normalisation
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1.0, 1e300, 1.7e308])
def test_scores_of_any_size_give_finite_numbers_in_their_order(
    name: Normalisation, scale: float
) -> None:
    scores = [-scale, scale, 0.0, scale, scale / 2]
    found = made(name)(scores)
    assert all(map(math.isfinite, found))
    assert found[1] == found[3] == max(found)
    assert found[0] == min(found)
    assert found[0] <= found[2] <= found[4] <= found[1]


@every_normalisation
def test_ties_stay_ties_and_a_permutation_permutes(name: Normalisation) -> None:
    scores = [round(score, 1) for score in drawn(40)]
    found = made(name)(scores)
    order = random.Random(1).sample(range(40), 40)
    assert made(name)([scores[place] for place in order]) == [found[place] for place in order]
    for first in range(40):
        for second in range(40):
            if scores[first] == scores[second]:
                assert found[first] == found[second]


@pytest.mark.parametrize(
    ("name", "one", "tied"),
    [
        ("min_max", 0.5, 0.5),
        ("z_score", 0, 0),
        ("rank", 0.5, 0.5),
        ("reciprocal_rank", 1 / 61, 1 / 62),
        ("softmax", 1, 1 / 3),
        ("entropy", 1, 1 / 3),
    ],
)
def test_one_candidate_and_candidates_that_all_tie(
    name: Normalisation, one: float, tied: float
) -> None:
    assert made(name)([0.1]) == pytest.approx([one])
    assert made(name)([0.1] * 3) == pytest.approx([tied] * 3)
    assert made(name)([]) == []


def test_differences_by_rounding_are_none_where_sums_are_scaled() -> None:
    assert rescaled([0.1 + 0.2, 0.3, 0.3]) == [0.5, 0.5, 0.5]
    assert rescaled([0.0, -0.0]) == [0.5, 0.5]
    assert rescaled([]) == []
    assert rescaled([1 / 61, 1 / 62, 1 / 63]) == pytest.approx([1, 61 / 124, 0])
