"""Per-question values of runs, and p-values of their differences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = dict[str, dict[str, float]]
"""Metric -> question id -> value."""


def values(folders: list[Path], system: str, split: str, metrics: Iterable[str]) -> Values:
    """Per-question values, averaged over the runs."""
    from radio.comparing.reading import read_runs, read_values

    runs: list[Values] = []
    for run in read_runs(folders):
        found = read_values(run, split)
        columns = found.numbers[system]
        of_run: Values = {}
        for metric in metrics:
            if metric in columns:
                pairs = zip(found.asked, columns[metric].tolist(), strict=True)
                of_run[metric] = {name: value for name, value in pairs if not math.isnan(value)}
        runs.append(of_run)
    return averaged(runs)


def averaged(runs: list[Values]) -> Values:
    """The mean over runs, for each question."""
    first = runs[0]
    means: Values = {}
    for metric, of_questions in first.items():
        means[metric] = {}
        for question_id in of_questions:
            values_of_runs = [run[metric][question_id] for run in runs]
            means[metric][question_id] = float(np.mean(values_of_runs))
    return means


def paired(a: Values, b: Values, metric: str) -> NDArray[np.float64]:
    """Values ``[Q, 2]`` of both systems for the same questions."""
    return np.array([[value, b[metric][question]] for question, value in a[metric].items()])


def p_value(pairs: NDArray[np.float64]) -> float:
    """Two-sided, by exchanging the systems within questions at random."""
    from radio.evaluation.statistics import sign_flip_test

    return sign_flip_test(pairs[:, 0] - pairs[:, 1])
