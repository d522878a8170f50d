"""Intervals, the paired test and its correction, against scipy, statsmodels and definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from radio.evaluation import statistics
from radio.evaluation.statistics import (
    bootstrap_interval,
    bootstrap_intervals,
    holm,
    paired_difference,
    sign_flip_test,
    sign_flip_tests,
)


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


def test_samples_that_share_their_draws_have_the_intervals_that_each_has_alone() -> None:
    rng = np.random.default_rng(3)
    samples = [rng.random(30), [0.0, 1.0], rng.integers(0, 2, 30), [], [0.5], rng.random(4000)]
    found = bootstrap_intervals(samples, resamples=3000)
    for sample, interval in zip(samples, found, strict=True):
        alone = bootstrap_interval(sample, resamples=3000)
        assert interval == pytest.approx(alone, abs=1e-12, nan_ok=True)
    # values that are all alike have no interval
    assert bootstrap_intervals([[0.0] * 7, [1.0] * 7]) == [(0.0, 0.0), (1.0, 1.0)]


def test_bootstrap_interval_of_one_value_is_that_value() -> None:
    assert bootstrap_interval([0.25, 0.25]) == bootstrap_interval([0.25]) == (0.25, 0.25)


def test_bootstrap_interval_of_nothing_is_unknown() -> None:
    assert all(map(math.isnan, bootstrap_interval([])))


def test_bootstrap_interval_of_a_large_set_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(size=100_000)
    low, high = bootstrap_interval(values, resamples=300)
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(len(values)), rel=0.2)
    assert low < values.mean() < high


def test_the_bootstrap_draws_what_it_always_drew() -> None:
    """Figures of earlier runs can be compared with those of today."""
    assert bootstrap_interval([0.0, 1.0, 1.0, 0.5, 0.25]) == (0.2, 0.9)
    values = np.random.default_rng(0).random(40)
    assert bootstrap_interval(values) == (0.44268094413477627, 0.626687747967257)


@pytest.mark.parametrize("at_once", [1_000, 10_000_000])
def test_portions_change_no_number(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(0.1, size=50)
    expected = bootstrap_interval(values), sign_flip_test(values)
    monkeypatch.setattr(statistics, "DRAWS_AT_ONCE", at_once)
    assert (bootstrap_interval(values), sign_flip_test(values)) == expected


def test_a_difference_is_over_the_questions_that_both_have() -> None:
    found = paired_difference({"a": 1.0, "b": 0.5, "c": 1.0}, {"b": 0.5, "a": 0.0, "d": 1.0})
    assert found is not None
    assert (found.difference, found.questions) == (0.5, 2.0)
    assert (found.low, found.high) == bootstrap_interval([1.0, 0.0])
    assert paired_difference({"a": 1.0}, {"b": 1.0}) is None


def scipys(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    test = stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


@pytest.mark.parametrize("questions", [2, 7, 13, 14, 60])
@pytest.mark.parametrize("kind", ["right or wrong", "real"])
def test_the_paired_test_is_scipys(kind: str, questions: int) -> None:
    rng = np.random.default_rng(questions)
    for shift in (0.0, 0.3):
        if kind == "real":
            first, second = rng.normal(shift, size=questions), rng.normal(size=questions)
        else:
            first = (rng.random(questions) < 0.5 + shift).astype(float)
            second = (rng.random(questions) < 0.5).astype(float)
        # sums in another order may make or break a tie in the last digit: scipy allows for that too
        assert sign_flip_test(first - second) == scipys(first, second)


def test_several_samples_are_tested_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(0.2, size=size) for size in (40, 0, 5, 40, 13, 40)]
    found = sign_flip_tests(samples, resamples=999)
    for p_value, sample in zip(found, samples, strict=True):
        alone = sign_flip_test(sample, resamples=999)
        assert p_value == pytest.approx(alone, nan_ok=True)
    assert sign_flip_tests([]) == []


def test_the_paired_test_of_few_questions_goes_through_all_assignments() -> None:
    differences = [0.5, 0.2, -0.1, 0.4]
    observed = sum(differences)
    as_high = 0
    for signs in itertools.product((1, -1), repeat=4):
        mean = sum(sign * value for sign, value in zip(signs, differences, strict=True))
        as_high += mean >= observed - 1e-12
    assert sign_flip_test(differences) == 2 * as_high / 16
    # three seeds alone are never significant
    assert sign_flip_test([0.9, 0.8, 0.7]) == 0.25


def test_the_paired_test_is_two_sided_never_0_and_1_without_a_difference() -> None:
    values = np.random.default_rng(6).normal(0.3, size=40)
    assert sign_flip_test(values) == pytest.approx(sign_flip_test(-values), abs=0.01)
    assert sign_flip_test([1.0] * 100) == 2 / 10_000
    assert sign_flip_test([0.0] * 100) == 1.0
    assert math.isnan(sign_flip_test([]))


def test_the_paired_test_repeats_and_depends_on_the_seed() -> None:
    values = np.random.default_rng(7).normal(0.1, size=40)
    assert sign_flip_test(values) == sign_flip_test(values.tolist())
    assert sign_flip_test(values, resamples=199) != sign_flip_test(values, resamples=199, seed=1)


def test_the_paired_test_rejects_as_often_as_it_says_where_nothing_differs() -> None:
    rng = np.random.default_rng(8)
    p_values = [sign_flip_test(rng.normal(size=30), resamples=199) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.045)


def test_holm_is_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(9)
    for count in (1, 2, 5, 20):
        p_values = rng.random(count) ** 3
        expected = multipletests(p_values, method="holm")[1]
        assert holm(p_values.tolist()) == pytest.approx(expected.tolist(), abs=1e-15)


def test_holm_rejects_what_the_step_down_procedure_rejects() -> None:
    rng = np.random.default_rng(10)
    for level, _ in itertools.product((0.01, 0.05, 0.2), range(20)):
        p_values = (rng.random(6) ** 4).tolist()
        rejected = set()
        for place in sorted(range(6), key=p_values.__getitem__):
            if p_values[place] > level / (6 - len(rejected)):
                break
            rejected.add(place)
        corrected = holm(p_values)
        assert {place for place in range(6) if corrected[place] <= level} == rejected


def test_holm_by_hand_with_ties_and_nothing() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
