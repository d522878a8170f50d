"""From the numbers of each question to means, intervals, and tests against a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radio.evaluation.measure import Numbers
from radio.evaluation.statistics import (
    all_paired_differences,
    bootstrap_intervals,
    holm,
    paired_differences,
    sign_flip_tests,
)
from radio.metrics.base import mean

Table = Mapping[str, Mapping[str, Numbers]]
"""Numbers by ranking and question id."""


def values_of(numbers: Mapping[str, Numbers], metric: str) -> dict[str, float]:
    """A metric by question id, of those questions that have it."""
    return {question: row[metric] for question, row in numbers.items() if metric in row}


def means(table: Table, metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each ranking: ``means``, 95 % ``intervals`` and ``counts`` of questions, of each metric
    that some question has."""
    samples: dict[tuple[str, str], list[float]] = {}
    for ranking, numbers in table.items():
        for metric in metrics:
            values = list(values_of(numbers, metric).values())
            if values:
                samples[ranking, metric] = values
    # all at once, since samples of one size share their draws
    intervals = bootstrap_intervals(list(samples.values()))
    found: dict[str, dict[str, Any]] = {}
    for ranking in table:
        found[ranking] = {"means": {}, "intervals": {}, "counts": {}}
    for ((ranking, metric), values), interval in zip(samples.items(), intervals, strict=True):
        found[ranking]["means"][metric] = mean(values)
        found[ranking]["intervals"][metric] = list(interval)
        found[ranking]["counts"][metric] = len(values)
    return found


def differences(
    table: Table, reference: str, metrics: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Of each other ranking and metric: the paired difference to the reference with its interval,
    ``p`` of a paired randomisation test, and ``p_holm``, corrected for all other rankings by this
    metric."""
    others = [ranking for ranking in table if ranking != reference]
    places = [(ranking, metric) for metric in metrics for ranking in others]
    pairs = []
    for ranking, metric in places:
        pairs.append((values_of(table[ranking], metric), values_of(table[reference], metric)))
    paired = dict(zip(places, all_paired_differences(pairs), strict=True))
    samples = [paired_differences(*pair) for pair in pairs]
    p_values = dict(zip(places, sign_flip_tests(samples), strict=True))
    found: dict[str, dict[str, dict[str, float]]] = {ranking: {} for ranking in table}
    for metric in metrics:
        family = [ranking for ranking in others if paired[ranking, metric] is not None]
        corrected = holm([p_values[ranking, metric] for ranking in family])
        for ranking, p_holm in zip(family, corrected, strict=True):
            difference = paired[ranking, metric]
            assert difference is not None
            found[ranking][metric] = {
                **difference._asdict(),
                "p": p_values[ranking, metric],
                "p_holm": p_holm,
            }
    return found
