"""The nearest neighbours of questions by their embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TOGETHER = 1_024
"""Questions whose similarities are in memory at a time."""

BIN = 0.05
"""Width of a bar of the distribution."""


class Nearest(NamedTuple):
    """Of each question the cosine of the nearest text, ``[questions]``, and its place; NaN and -1
    where there is none."""

    cosines: NDArray[np.float64]
    places: NDArray[np.int64]


def nearest(questions: NDArray[np.float32], others: NDArray[np.float32]) -> Nearest:
    """The nearest of ``others`` ``[texts, dim]`` to each of ``questions`` ``[questions, dim]``."""
    return _nearest(_unit(questions), _unit(others), itself=False)


def nearest_other(questions: NDArray[np.float32]) -> Nearest:
    """The nearest other one to each question of ``[questions, dim]``."""
    unit = _unit(questions)
    return _nearest(unit, unit, itself=True)


def _nearest(
    questions: NDArray[np.float32], others: NDArray[np.float32], *, itself: bool
) -> Nearest:
    count = len(questions)
    cosines, places = np.full(count, np.nan), np.full(count, -1, dtype=np.int64)
    if len(others) <= itself:
        return Nearest(cosines, places)
    for start in range(0, count, TOGETHER):
        part = questions[start : start + TOGETHER] @ others.T
        rows = np.arange(len(part))
        if itself:
            part[rows, start + rows] = -np.inf
        best = part.argmax(axis=1)
        places[start : start + len(part)] = best
        cosines[start : start + len(part)] = part[rows, best]
    # a text and its copy have 1, but for rounding
    return Nearest(np.clip(cosines, -1.0, 1.0), places)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of length 1: what an encoder compares by the inner product has a length of its
    own."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return scaled


def spread(cosines: NDArray[np.float64]) -> dict[str, object]:
    """Quantiles, and the bars of a histogram over [-1, 1] that are not empty at either end."""
    known = cosines[~np.isnan(cosines)]
    if not known.size:
        return {"quantiles": {}, "bins": [], "counts": []}
    names = ("0.05", "0.25", "0.5", "0.75", "0.95", "1")
    values = np.quantile(known, [float(name) for name in names]).tolist()
    # a bar holds its lower edge, the last one 1 too
    edges = np.round(np.arange(-1.0, 1.0 + BIN / 2, BIN), 10)
    counts, _ = np.histogram(known, edges)
    there = np.flatnonzero(counts)
    first, last = int(there[0]), int(there[-1])
    return {
        "quantiles": dict(zip(names, values, strict=True)),
        "bins": edges[first : last + 2].tolist(),
        "counts": counts[first : last + 1].tolist(),
    }
