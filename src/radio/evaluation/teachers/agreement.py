"""How much teachers agree, and how decided each of them is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.schema import Run

Table = dict[str, dict[str, Any]]
"""A value for each two teachers, by their names."""


def agreement(runs: Mapping[str, Run], questions: Sequence[str]) -> dict[str, Table]:
    """Kendall's tau-b of each two teachers, mean over the questions (Kendall, Biometrika 33, 1945).

    Of a question, tau-b is the cosine of two vectors, which have for each two passages whether the
    first one is above (1), below (-1) or level (0). Where a teacher scores all passages alike its
    vector is 0, and tau-b is not defined: such questions are left out of the mean and counted.

    Args:
        runs: scores by teacher, question and passage; all teachers have the same passages.
        questions: which to compare, by id.

    Returns:
        ``tau_b``, None where no question defines it, and how many are ``undefined``.
    """
    total = np.zeros((len(runs), len(runs)))
    defined = np.zeros((len(runs), len(runs)), dtype=np.int64)
    for question in questions:
        passages = list(next(iter(runs.values()))[question])
        scores = np.array(
            [[run[question][passage] for passage in passages] for run in runs.values()]
        )
        taus = tau_b(scores)
        total += np.nan_to_num(taus)
        defined += ~np.isnan(taus)
    means: Table = {}
    undefined: Table = {}
    for row, one in enumerate(runs):
        means[one], undefined[one] = {}, {}
        for column, other in enumerate(runs):
            count = int(defined[row, column])
            means[one][other] = float(total[row, column]) / count if count else None
            undefined[one][other] = len(questions) - count
    return {"tau_b": means, "undefined": undefined}


def tau_b(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's tau-b of each two rows ``[teachers, passages]`` -> ``[teachers, teachers]``; NaN
    where a row is constant."""
    first, second = np.triu_indices(scores.shape[1], k=1)
    above = np.sign(scores[:, first] - scores[:, second])
    products = above @ above.T
    decided = np.diag(products)
    norms = np.sqrt(np.outer(decided, decided))
    taus = np.full(products.shape, math.nan)
    np.divide(products, norms, out=taus, where=norms > 0)
    return taus


def target_entropy(scores: Sequence[float], temperature: float | None) -> float | None:
    """Entropy in nats of ``softmax(scores / temperature)``: 0 where one passage has it all, log n
    where n passages are alike.

    Without a temperature the scores divided by their sum are the distribution; None where all of
    them are 0, which a loss passes over.
    """
    values = np.asarray(scores, dtype=np.float64)
    if temperature is None:
        weights = values.clip(min=0)
        if not weights.any():
            return None
    else:
        weights = np.exp((values - values.max()) / temperature)
    shares = weights[weights > 0] / weights.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0
