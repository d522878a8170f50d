"""The numbers about rationales as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radio.rationales.checks import CHECKS


def table(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Label -> value, of the numbers of one split (:func:`radio.rationales.report.measure`)."""
    shown = {
        "questions": f"{numbers['questions']:,}",
        "rationales": f"{numbers['rationales']:,}",
        "missing": f"{numbers['missing']:,}",
    }
    for name, count in numbers["outcomes"].items():
        shown[f"outcome: {name}"] = f"{count:,}"
    shown["pass the filters"] = share(numbers["pass_filters"])
    for name in CHECKS:
        filtered = " (filter)" if name in numbers["filters"] else ""
        shown[f"check: {name}{filtered}"] = _check(name, numbers["checks"])
    shown |= _lengths(numbers["words"])
    shown |= _similarity(numbers)
    shown["a candidate contains an answer"] = share(numbers["support"]["answer"])
    shown["tokens"] = _listed(numbers["tokens"], "{} {:,}") or "not recorded"
    shown["models"] = _listed(numbers["models"], "{} ({:,})") or "-"
    return shown


def _check(name: str, made: Mapping[str, Any]) -> str:
    if name in made:
        return share(made[name])
    return f"not made: needs {'a judge' if name == 'contradicts' else 'an encoder'}"


def _lengths(words: Mapping[str, float]) -> dict[str, str]:
    if not words:
        return {}
    shown = f"{words['mean']:.1f}, {words['median']:.0f}, {words['p95']:.0f}"
    return {"words: mean, median, 95 %": shown}


def _similarity(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Of rationale and nearest candidate; nothing where no encoder was there."""
    similarity = numbers["similarity"]
    if not similarity:
        return {}
    shown = {}
    if "mean" in similarity:
        quantiles = [f"{similarity[name]:.3f}" for name in ("p05", "p25", "median", "p75", "p95")]
        shown["best candidate's similarity: mean"] = f"{similarity['mean']:.3f}"
        shown["best candidate's similarity: 5, 25, 50, 75, 95 %"] = ", ".join(quantiles)
    whose = " (the teacher's)" if similarity["encoder_of"] == "teacher" else ""
    shown["similarity measured by"] = similarity["encoder"] + whose
    limit = numbers["limits"]["min_similarity"]
    shown[f"a candidate has similarity >= {limit:g}"] = share(numbers["support"]["similar"])
    return shown


def _listed(counts: Mapping[str, int], form: str) -> str:
    return ", ".join(form.format(name, count) for name, count in counts.items())


def share(part: Mapping[str, Any]) -> str:
    """``3 (25.0 %)``; ``-`` of nothing."""
    return "-" if part["share"] is None else f"{part['count']:,} ({percent(part)})"


def percent(part: Mapping[str, Any]) -> str:
    """``25.0 %``; ``-`` of nothing."""
    return "-" if part["share"] is None else f"{100 * part['share']:.1f} %"


def show_table(numbers: Mapping[str, Any]) -> None:
    """Print the numbers, a column a split."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = {split: table(of_split) for split, of_split in numbers.items()}
    labels: dict[str, None] = {}
    for column in columns.values():
        labels |= dict.fromkeys(column)
    printed = Table(title="rationales; shares are of the questions that have one")
    printed.add_column("")
    for split in columns:
        printed.add_column(split, justify="right")
    for label in labels:
        values = [column.get(label, "-") for column in columns.values()]
        printed.add_row(escape(label), *map(escape, values))
    console = Console()
    # a pipe or a log has no width
    Console(width=max(console.width, 110)).print(printed)
