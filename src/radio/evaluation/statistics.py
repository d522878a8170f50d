"""Intervals of means over questions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over questions (Efron & Tibshirani, 1993).

    Pass per-question differences of two systems for a paired interval; no value gives (nan, nan).
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            data[rng.integers(0, data.size, (part, data.size))].mean(axis=1)
            for part in _parts(resamples, data.size)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _parts(resamples: int, size: int) -> list[int]:
    """Resamples in portions of about ten million draws, so that memory stays small for large test
    sets."""
    portion = max(1, min(resamples, 10_000_000 // size))
    return [min(portion, resamples - start) for start in range(0, resamples, portion)]
