"""Intervals over seeds and questions, against scipy, a plain loop and what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from radio.comparing import intervals
from radio.comparing.intervals import Column, Contrast, two_level_intervals
from radio.evaluation import statistics
from radio.evaluation.statistics import bootstrap_interval

RNG = np.random.default_rng(7)
RIGHT = (RNG.random((3, 60)) < [[0.3], [0.5], [0.7]]).astype(float)
"""Right or wrong: three seeds that differ, 60 questions."""
SCORES = RNG.random((1, 60))


def column(values: NDArray[np.float64], trainings: str = "one") -> Column:
    return Column(values, trainings)


def test_with_one_training_they_are_those_of_the_questions() -> None:
    one, other = column(RIGHT[:1]), column(SCORES)
    found = two_level_intervals([Contrast(one), Contrast(other), Contrast(one, other)])
    for interval, values in zip(found, (RIGHT[0], SCORES[0], RIGHT[0] - SCORES[0]), strict=True):
        assert interval == pytest.approx(bootstrap_interval(values), abs=1e-12)


def test_a_paired_interval_is_close_to_scipys() -> None:
    (low, high) = two_level_intervals([Contrast(column(RIGHT[:1]), column(SCORES))])[0]
    theirs = stats.bootstrap(
        (RIGHT[0], SCORES[0]),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (low, high) == pytest.approx(theirs, abs=0.04 * (theirs.high - theirs.low))


def test_seeds_and_questions_are_drawn_as_a_plain_loop_does() -> None:
    rng = np.random.default_rng(11)
    drawn = []
    for _ in range(10_000):
        questions = rng.integers(0, 60, 60)
        first = np.mean([RIGHT[seed, questions].mean() for seed in rng.integers(0, 3, 3)])
        drawn.append(first - SCORES[0, questions].mean())
    expected = np.quantile(drawn, [0.025, 0.975])
    found = two_level_intervals([Contrast(column(RIGHT), column(SCORES, "none"))])[0]
    assert found == pytest.approx(expected, abs=0.04 * float(expected[1] - expected[0]))
    # three trainings that differ so much are wider apart than their questions say
    of_questions = bootstrap_interval(RIGHT.mean(axis=0) - SCORES[0])
    assert found[1] - found[0] > 1.3 * (of_questions[1] - of_questions[0])


def test_systems_of_the_same_trainings_have_the_same_seeds_drawn() -> None:
    better = RIGHT + 0.25
    together = Contrast(column(better), column(RIGHT))
    apart = Contrast(column(better), column(RIGHT, "another"))
    (low, high), (wide_low, wide_high) = two_level_intervals([together, apart])
    assert (low, high) == pytest.approx((0.25, 0.25))
    assert wide_high - wide_low > 0.2


def test_a_question_without_a_value_is_none_of_it() -> None:
    gaps = SCORES.copy()
    gaps[0, :20] = np.nan
    whole = two_level_intervals([Contrast(column(SCORES[:, 20:]))])[0]
    pair = two_level_intervals([Contrast(column(SCORES[:, 20:]), column(RIGHT[:1, 20:]))])[0]
    contrasts = [Contrast(column(gaps)), Contrast(column(gaps), column(RIGHT[:1]))]
    assert two_level_intervals(contrasts) == [pytest.approx(whole), pytest.approx(pair)]
    nothing = two_level_intervals([Contrast(column(np.full((1, 3), np.nan)))])[0]
    assert all(map(math.isnan, nothing))


def test_portions_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    contrasts = [
        Contrast(column(RIGHT)),
        Contrast(column(SCORES)),
        Contrast(column(RIGHT), column(SCORES)),
    ]
    expected = two_level_intervals(contrasts, resamples=500)
    monkeypatch.setattr(intervals, "COLUMNS_AT_ONCE", 1)
    monkeypatch.setattr(statistics, "DRAWS_AT_ONCE", 1_000)
    assert two_level_intervals(contrasts, resamples=500) == [pytest.approx(one) for one in expected]
