"""Means of systems, and the gain of one over another, each with its interval and a paired test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radio.evaluation.statistics import (
    all_paired_differences,
    bootstrap_intervals,
    holm,
    paired_differences,
    sign_flip_tests,
)

Column = Mapping[str, float]
"""Value by question id."""

Columns = Mapping[str, Column]
"""One measure by system."""

Numbers = dict[str, Any]


def measured(tables: Sequence[Columns], pair: tuple[str, str]) -> list[Numbers]:
    """Means of all systems, and the gain of the second of a pair over the first, of each table.

    Tables of as many questions share their draws, which is where the time goes. The gains are one
    family: their p-values are corrected for each other (Holm).

    Args:
        tables: of the same measure.
        pair: before and after.

    Returns:
        ``systems`` (``mean``, ``low``, ``high``, ``questions`` of each that has some) and ``gain``
        (:func:`gains`, with ``p_holm`` and ``family``) of each.
    """
    places, samples = [], []
    for number, table in enumerate(tables):
        for system, column in table.items():
            if column:
                places.append((number, system))
                samples.append(list(column.values()))
    found: list[Numbers] = [{"systems": {}, "gain": None} for _ in tables]
    intervals = bootstrap_intervals(samples)
    for (number, system), sample, (low, high) in zip(places, samples, intervals, strict=True):
        found[number]["systems"][system] = {
            "mean": sum(sample) / len(sample),
            "low": low,
            "high": high,
            "questions": len(sample),
        }
    before, after = pair
    differences = gains([(table.get(after, {}), table.get(before, {})) for table in tables])
    family = [difference for difference in differences if difference is not None]
    corrected = holm([difference["p"] for difference in family])
    for difference, p_value in zip(family, corrected, strict=True):
        difference |= {"p_holm": p_value, "family": len(family)}
    for row, gain in zip(found, differences, strict=True):
        row["gain"] = gain
    return found


def gains(pairs: Sequence[tuple[Column, Column]]) -> list[Numbers | None]:
    """first - second of each pair over the questions that both have: ``difference``, ``low``,
    ``high``, ``questions``, ``won``, ``lost``, ``p``; None where there are none."""
    samples = [paired_differences(*pair) for pair in pairs]
    found: list[Numbers | None] = []
    for sample, difference, p_value in zip(
        samples, all_paired_differences(pairs), sign_flip_tests(samples), strict=True
    ):
        if difference is None:
            found.append(None)
            continue
        found.append(
            {
                **difference._asdict(),
                "questions": len(sample),
                "won": sum(value > 0 for value in sample),
                "lost": sum(value < 0 for value in sample),
                "p": p_value,
            }
        )
    return found


def changes(
    tables: Sequence[Columns], reference: Columns, pair: tuple[str, str]
) -> list[Numbers | None]:
    """How far the gain of each table is another one than that of a reference, over the questions
    that have both."""
    known = _gain_by_question(reference, pair)
    return gains([(_gain_by_question(table, pair), known) for table in tables])


def _gain_by_question(table: Columns, pair: tuple[str, str]) -> Column:
    before, after = (table.get(system, {}) for system in pair)
    return {name: after[name] - before[name] for name in after if name in before}
