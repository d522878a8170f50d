"""Figures of results: per-question values of runs, as tables with intervals and p-values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.runs import interval

METRICS = {
    "nDCG@5": "nDCG@5",
    "answer_in_context@1": "answer in top 1",
    "answer_in_context@3": "in top 3",
    "answer_in_context@5": "in top 5",
    "em@1": "EM, reads 1",
    "em@3": "EM, reads 3",
    "em@5": "EM, reads 5",
    "f1@1": "F1, reads 1",
    "f1@3": "F1, reads 3",
    "f1@5": "F1, reads 5",
    # against the annotated passages
    "gold_nDCG@5": "gold nDCG@5",
    "gold_P@1": "gold in top 1",
}
COMPARED = [
    "nDCG@5",
    "answer_in_context@1",
    "em@1",
    "f1@1",
    "em@3",
    "em@5",
    "gold_nDCG@5",
    "gold_P@1",
]

Values = dict[str, dict[str, float]]
"""Metric -> question id -> value."""


def values(
    folders: list[Path], system: str, split: str, metrics: Iterable[str] = METRICS
) -> Values:
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


def relative(pairs: NDArray[np.float64]) -> str:
    """Relative gain of the first system in percent, with its bootstrap interval and p-value."""
    from radio.evaluation.statistics import ratio_interval

    low, high = ratio_interval(pairs[:, 0], pairs[:, 1], resamples=5000)
    first, second = pairs.mean(axis=0)
    gain = f"{100 * (first / second - 1):+.1f} % [{100 * (low - 1):+.1f}, {100 * (high - 1):+.1f}]"
    return f"{gain}, p = {p_value(pairs):.4f}"


def table(rows: dict[str, Values]) -> list[str]:
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---" * (len(METRICS) + 1) + "|"]
    for name, found in rows.items():
        cells = [
            interval(np.array(list(found[m].values()))) if m in found else "-" for m in METRICS
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def differences(names: Iterable[str], reference: str, rows: dict[str, Values]) -> list[str]:
    lines = [f"| minus {reference} | " + " | ".join(METRICS[m] for m in COMPARED) + " |"]
    lines.append("|---" * (len(COMPARED) + 1) + "|")
    for name in names:
        cells = []
        for metric in COMPARED:
            pairs = paired(rows[name], rows[reference], metric)
            cells.append(f"{interval(pairs[:, 0] - pairs[:, 1], '+')}, p = {p_value(pairs):.4f}")
        if name != reference:
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines
