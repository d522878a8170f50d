"""Intervals by a bootstrap of two levels: which trainings, and which questions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.evaluation.statistics import portions, times_drawn

COLUMNS_AT_ONCE = 400
"""Means that are resampled together, so that many measures need no more memory than few."""


class Column(NamedTuple):
    """One measure of one system.

    Args:
        values: ``[seeds, questions]``, NaN where a question has none.
        trainings: whose they are; what has the same name has its seeds drawn together.
    """

    values: NDArray[np.float64]
    trainings: str


class Contrast(NamedTuple):
    """The mean of a column or, with a second one, the difference of two, first - second."""

    first: Column
    second: Column | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def questions(self) -> NDArray[np.bool_]:
        """Those that have all values, ``[questions]``."""
        incomplete = [np.isnan(column.values).any(axis=0) for column in self.columns]
        found: NDArray[np.bool_] = ~np.logical_or.reduce(incomplete)
        return found


def two_level_intervals(
    contrasts: Sequence[Contrast], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> list[tuple[float, float]]:
    """Percentile intervals of means and paired differences over seeds and questions.

    Each resample draws trainings with replacement, then questions with replacement, the same for
    all systems; a system's mean is that over both. Where all are of one training, it is
    :func:`radio.evaluation.statistics.bootstrap_interval` but for the last digit.

    Args:
        contrasts: what an interval is wanted of.
        level: of the intervals.
        resamples: how often it is drawn.
        seed: of the draws.

    Returns:
        Low and high of each; NaN where no question has its values.
    """
    trainings = _Trainings(contrasts, resamples, seed)
    by_questions: dict[bytes, list[int]] = {}
    for place, contrast in enumerate(contrasts):
        by_questions.setdefault(contrast.questions.tobytes(), []).append(place)
    found = [(math.nan, math.nan)] * len(contrasts)
    tail = (1 - level) / 2
    for questions, places in by_questions.items():
        there = np.frombuffer(questions, dtype=np.bool_)
        if not there.any():
            continue
        for part in _parts(places, COLUMNS_AT_ONCE):
            wanted = [contrasts[place] for place in part]
            drawn = _resampled(wanted, there, trainings, resamples, seed)
            lows, highs = np.quantile(drawn, [tail, 1 - tail], axis=0)
            for place, low, high in zip(part, lows.tolist(), highs.tolist(), strict=True):
                found[place] = low, high
    return found


class _Trainings:
    """How often each seed is drawn, as a share, for each name of trainings."""

    def __init__(self, contrasts: Sequence[Contrast], resamples: int, seed: int) -> None:
        counts: dict[str, int] = {}
        for contrast in contrasts:
            for column in contrast.columns:
                name, count = column.trainings, len(column.values)
                counts[name] = max(counts.get(name, 1), count)
        self._shares = {}
        for number, (name, count) in enumerate(counts.items()):
            if count > 1:
                rng = np.random.default_rng([seed, number + 1])
                self._shares[name] = times_drawn(rng, resamples, count) / count

    def mean(self, column: Column, means: NDArray[np.float64], start: int) -> NDArray[np.float64]:
        """Of the resampled means ``[draws, seeds]`` of a column, over the seeds that are drawn; the
        first draw is the ``start``-th."""
        if len(column.values) == 1:
            return means[:, 0]
        shares = self._shares[column.trainings][start : start + len(means)]
        weighted: NDArray[np.float64] = (shares * means).sum(axis=1)
        return weighted


def _resampled(
    contrasts: Sequence[Contrast],
    there: NDArray[np.bool_],
    trainings: _Trainings,
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """The contrasts over resampled questions and seeds, ``[resamples, contrasts]``."""
    placed: dict[int, slice] = {}
    stacked: list[NDArray[np.float64]] = []
    width = 0
    for contrast in contrasts:
        for column in contrast.columns:
            if id(column.values) not in placed:
                placed[id(column.values)] = slice(width, width + len(column.values))
                stacked.append(column.values[:, there])
                width += len(column.values)
    columns = np.concatenate(stacked).T
    size = len(columns)
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(contrasts)))
    start = 0
    for count in portions(resamples, size):
        means = times_drawn(rng, count, size) @ columns / size
        rows = drawn[start : start + count]
        for number, contrast in enumerate(contrasts):
            first, *second = (
                trainings.mean(column, means[:, placed[id(column.values)]], start)
                for column in contrast.columns
            )
            rows[:, number] = first - second[0] if second else first
        start += count
    return drawn


def _parts(places: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]
