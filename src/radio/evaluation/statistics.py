"""Intervals of means over questions, a paired test, and its correction for several systems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float] | NDArray[np.float64]

DRAWS_AT_ONCE = 10_000_000
"""Random numbers held in memory at a time, so that large test sets need no more than small ones."""


def bootstrap_interval(
    values: Numbers, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over questions (Efron & Tibshirani, 1993).

    Pass per-question differences of two systems for a paired interval; no value gives (nan, nan).
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = []
    for count in portions(resamples, sample.size):
        drawn = rng.integers(0, sample.size, (count, sample.size))
        means.append(sample[drawn].mean(axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_intervals(
    samples: Sequence[Numbers], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> list[tuple[float, float]]:
    """:func:`bootstrap_interval` of each sample, but for the last digit.

    Samples of the same size share their draws, which is where the time goes.
    """
    intervals = [(math.nan, math.nan)] * len(samples)
    by_size: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        by_size.setdefault(len(sample), []).append(place)
    for size, places in by_size.items():
        if size == 0:
            continue
        columns = np.array([samples[place] for place in places], dtype=np.float64).T
        rng = np.random.default_rng(seed)
        means = []
        for count in portions(resamples, size):
            means.append(times_drawn(rng, count, size) @ columns / size)
        tail = (1 - level) / 2
        lows, highs = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
        for place, low, high in zip(places, lows.tolist(), highs.tolist(), strict=True):
            intervals[place] = low, high
    return intervals


def times_drawn(rng: np.random.Generator, count: int, size: int) -> NDArray[np.float64]:
    """How often each of ``size`` values is drawn in ``count`` resamples, ``[count, size]``."""
    drawn = rng.integers(0, size, (count, size))
    drawn += size * np.arange(count)[:, None]
    times = np.bincount(drawn.ravel(), minlength=count * size)
    return times.reshape(count, size).astype(np.float64)


class PairedDifference(NamedTuple):
    """Mean of first - second over the questions that both have, with its 95 % interval."""

    difference: float
    low: float
    high: float
    questions: float
    """How many they are; a float, as all numbers in ``metrics.json``."""


def paired_differences(first: Mapping[str, float], second: Mapping[str, float]) -> list[float]:
    """first - second for each question id that both have, in the order of the first."""
    return [value - second[question] for question, value in first.items() if question in second]


def paired_difference(
    first: Mapping[str, float], second: Mapping[str, float]
) -> PairedDifference | None:
    """Compare two systems by their values for the same questions; None if they share none."""
    return all_paired_differences([(first, second)])[0]


def all_paired_differences(
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
) -> list[PairedDifference | None]:
    """:func:`paired_difference` of each pair."""
    samples = [paired_differences(first, second) for first, second in pairs]
    found: list[PairedDifference | None] = []
    for sample, (low, high) in zip(samples, bootstrap_intervals(samples), strict=True):
        count = len(sample)
        found.append(
            PairedDifference(sum(sample) / count, low, high, float(count)) if count else None
        )
    return found


def sign_flip_test(differences: Numbers, *, resamples: int = 9_999, seed: int = 0) -> float:
    """Two-sided p-value of a paired randomisation test: the mean difference is 0.

    If two systems do not differ, their values for a question may as well be exchanged, which turns
    the sign of its difference (Fisher, 1935; Smucker et al., CIKM 2007). One-sided it is
    ``(b + 1) / (B + 1)``, where b of B random exchanges give a mean at least as extreme as the one
    observed; never 0, since the observed assignment is one of those possible. Two-sided it is twice
    the smaller of the two sides, and 1 at most. Where there are no more assignments than resamples
    (up to 13 questions), all are gone through and the p-value is exact.

    Args:
        differences: per question, of first - second.
        resamples: B, how many random assignments.
        seed: of these.

    Returns:
        The p-value; NaN without a difference, 1 where all are 0.
    """
    return sign_flip_tests([differences], resamples=resamples, seed=seed)[0]


def sign_flip_tests(
    samples: Sequence[Numbers], *, resamples: int = 9_999, seed: int = 0
) -> list[float]:
    """:func:`sign_flip_test` of each sample.

    Samples of the same size share their draws, which is where the time goes.
    """
    p_values = [math.nan] * len(samples)
    by_size: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        by_size.setdefault(len(sample), []).append(place)
    for size, places in by_size.items():
        if size == 0:
            continue
        columns = np.array([samples[place] for place in places], dtype=np.float64).T
        found = _flipped(columns, resamples, seed)
        for place, p_value in zip(places, found.tolist(), strict=True):
            p_values[place] = p_value
    return p_values


def _flipped(columns: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """p-value of each column of differences ``[questions, samples]``."""
    size = len(columns)
    observed = columns.mean(axis=0)
    # what differs from the observed mean by rounding alone is as extreme
    tolerance = 100 * np.finfo(np.float64).eps * np.abs(columns).mean(axis=0)
    all_are_tried = 2**size <= resamples
    below = np.zeros(columns.shape[1])
    above = np.zeros(columns.shape[1])
    total = 0
    for signs in _all_signs(size) if all_are_tried else _signs(resamples, size, seed):
        means = signs.astype(np.float64) @ columns / size
        below += (means <= observed + tolerance).sum(axis=0)
        above += (means >= observed - tolerance).sum(axis=0)
        total += len(means)
    added = 0 if all_are_tried else 1
    p_values: NDArray[np.float64] = 2 * (np.minimum(below, above) + added) / (total + added)
    return np.minimum(1.0, p_values)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for as many comparisons as there are (Holm, Scand. J. Statist. 1979).

    The i-th smallest of m is multiplied by m - i + 1, is no smaller than the one before it, and 1
    at most. Compared with a level, they reject what Holm's step-down procedure rejects, which keeps
    the probability of any false rejection in this family below the level.

    Args:
        p_values: of one family, for example of all systems by one metric on one dataset.

    Returns:
        In the order given.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    ascending = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for smaller, place in enumerate(ascending):
        left = len(p_values) - smaller
        largest = max(largest, min(1.0, left * p_values[place]))
        corrected[place] = largest
    return corrected


def _signs(resamples: int, size: int, seed: int) -> Iterator[NDArray[np.int8]]:
    """Random signs ``[count, size]`` in portions, ``resamples`` in all.

    They are drawn as exchanges of the two systems, with the generator's own shuffle: so they are
    those of scipy's ``permutation_test`` of the same seed.
    """
    rng = np.random.default_rng(seed)
    # each draw shuffles a pair: two numbers
    for count in portions(resamples, 2 * size):
        pairs = np.tile(np.array([0, 1], dtype=np.int8), (count, size, 1))
        first = rng.permuted(pairs, axis=-1)[:, :, 0]
        yield 1 - 2 * first


def _all_signs(size: int) -> Iterator[NDArray[np.int8]]:
    """All assignments of signs ``[2 ** size, size]``."""
    numbers = np.arange(2**size)[:, None]
    bits = (numbers >> np.arange(size)) & 1
    yield (1 - 2 * bits).astype(np.int8)


def portions(resamples: int, size: int) -> list[int]:
    """Resamples in portions of about :data:`DRAWS_AT_ONCE` draws, ``size`` for each."""
    portion = max(1, min(resamples, DRAWS_AT_ONCE // size))
    return [min(portion, resamples - start) for start in range(0, resamples, portion)]
