"""The table of an evaluation on the terminal, and what is said of one that shows no gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from radio.evaluation.results import SYSTEMS

NARROWEST = 124
"""Columns of the table at least: a pipe or a log has no width, and cells cut off would be of no
use."""


def show_table(document: dict[str, Any], split: str, *, title: str = "") -> None:
    """Print a split of ``metrics.json`` as a table, in percent, with 95 % intervals."""
    from rich.console import Console
    from rich.table import Table

    means, intervals = document[split], document["intervals"][split]
    differences = document["differences"][split].get("tuned - base", {})
    systems = [system for system in SYSTEMS if system in means]
    questions = document["questions"][split]
    counts = document.get("counts", {}).get(split, {})
    ties = document.get("tied_tops", {}).get(split, {})
    _warn_of_ties(systems, ties, questions)
    table = Table(title=title or _title(document, split))
    table.add_column("metric", no_wrap=True)
    for system in systems:
        table.add_column(system, justify="right", no_wrap=True)
    if differences:
        table.add_column("tuned - base", justify="right", no_wrap=True)
    for name in means[systems[-1]]:
        count = counts.get(name, questions)
        cells = [name if count == questions else f"{name} ({count} questions)"]
        for system in systems:
            cells.append(_cell(means[system].get(name), intervals[system].get(name)))
        if differences:
            cells.append(_difference_cell(differences.get(name)))
        table.add_row(*cells)
    width = max(Console().width, NARROWEST)
    Console(width=width).print(table)
    tied = [f"{system} {ties[system]}" for system in systems if ties.get(system)]
    if tied:
        print(
            f"tied at the top, and ordered by passage id there: {', '.join(tied)} of {questions} "
            "questions"
        )


def _warn_of_ties(systems: Sequence[str], ties: Mapping[str, int], questions: int) -> None:
    for system in systems:
        if ties.get(system) == questions:
            print(
                f"WARNING: {system}: {questions} of {questions} questions have a tied top: its "
                "order below is by passage id and says nothing"
            )


def _cell(mean: float | None, interval: Sequence[float] | None) -> str:
    if mean is None:
        return "-"
    low, high = interval or (math.nan, math.nan)
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _difference_cell(found: Mapping[str, float] | None) -> str:
    if not found:
        return "-"
    mean, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _title(document: dict[str, Any], split: str) -> str:
    questions = document["questions"][split]
    total = document.get("of_questions", {}).get(split, questions)
    of_all = "" if total == questions else f" of {total}"
    left_out = document.get("left_out", {}).get(split, {})
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    why = f" ({reasons})" if reasons else ""
    precision = document.get("precision", {}).get(split, "32-true")
    computed = "" if precision == "32-true" else f", computed in {precision}"
    return f"{split}: {questions}{of_all} questions{why}, in % [95 % bootstrap interval]{computed}"


def no_better(gain: Mapping[str, Any] | None) -> str | None:
    """What to say of a tuned reranker that validation does not show to be better than the untrained
    one; None where it does.

    Args:
        gain: what :func:`radio.evaluation.results.gain_over_base` found.
    """
    if gain is None or gain["low"] > 0:
        return None
    low, high, questions = 100 * gain["low"], 100 * gain["high"], int(gain["questions"])
    found = (
        f"{gain['metric']} {100 * gain['difference']:+.1f} [{low:+.1f}, {high:+.1f}] points, tuned "
        f"- base, on {questions} validation questions"
    )
    if gain["difference"] <= 0:
        return f"the tuned reranker is no better than the base ({found})."
    return (
        f"the tuned reranker is not shown to be better than the base ({found}; the interval "
        "includes 0)."
    )
