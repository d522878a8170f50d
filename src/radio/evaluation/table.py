"""The table of an evaluation on the terminal, and what is said of one that shows no gain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from radio.evaluation.systems import in_order

NARROWEST = 124
"""Columns of the table at least: a pipe or a log has no width, and cells cut off would be of no
use."""

A_SYSTEM = 22
"""Columns that each system beyond three needs."""

COMPARED = "tuned - base"
"""Of the differences in ``metrics.json``, the one that the table shows."""

LEARNT_ON = "learnt_on"
"""In the note of merged rankings: training questions that the weights were learnt on."""

MOST_GROUPS = 8
"""Groups of a breakdown that the table shows: the 57 subjects of MMLU are for ``metrics.json``."""


class Value(NamedTuple):
    """A mean or a difference, with its 95 % interval if it has one; in shares of 1."""

    mean: float
    low: float | None = None
    high: float | None = None


class Line(NamedTuple):
    """A metric, or a number of a group of questions."""

    name: str
    questions: int | None
    """That have it; None where it is no mean over questions, or its name says it."""
    values: Mapping[str, Value]
    """By system."""
    difference: Value | None
    """``tuned - base``, paired."""


class Table(NamedTuple):
    """What the terminal shows, as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def show_table(document: dict[str, Any], split: str) -> None:
    """Print a split of ``metrics.json`` as a table, in percent, with 95 % intervals."""
    from rich.console import Console
    from rich.table import Table as Drawn

    columns, rows = table_of(document, split)
    systems = in_order(document[split])
    _warn_of_ties(systems, _note(document, "tied_tops", split), document["questions"][split])
    table = Drawn(title=heading(document, split))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    width = max(Console().width, NARROWEST + A_SYSTEM * (len(systems) - 3))
    Console(width=width).print(table)
    for line in remarks(document, split):
        print(line)


def _note(document: Mapping[str, Any], key: str, split: str) -> Any:
    return document.get(key, {}).get(split, {})


def table_of(document: Mapping[str, Any], split: str) -> Table:
    """A split of ``metrics.json`` as text, in percent: a row for each metric, a column for each
    system, and the difference."""
    systems = in_order(document[split])
    compared = bool(document["differences"][split].get(COMPARED))
    rows = []
    for line in figures(document, split):
        all_have_it = line.questions in (None, document["questions"][split])
        row = [line.name if all_have_it else f"{line.name} ({line.questions} questions)"]
        row += [_cell(line.values.get(system)) for system in systems]
        if compared and line.questions is not None:
            row.append(_cell(line.difference, "+"))
        rows.append(row)
    columns = ["metric", *systems, *([COMPARED] if compared else [])]
    return Table(columns, [[*row, *[""] * (len(columns) - len(row))] for row in rows])


def figures(document: Mapping[str, Any], split: str) -> Iterator[Line]:
    """The numbers of a split of ``metrics.json``: means with their intervals, then what is no mean
    over all questions."""
    means, intervals = document[split], document["intervals"][split]
    differences = document["differences"][split].get(COMPARED, {})
    counts = _note(document, "counts", split)
    for name in dict.fromkeys(name for system in in_order(means) for name in means[system]):
        values = {}
        for system in means:
            if name in means[system]:
                interval = intervals[system].get(name) or (math.nan, math.nan)
                values[system] = Value(means[system][name], *interval)
        found = differences.get(name)
        paired = Value(found["difference"], found["low"], found["high"]) if found else None
        yield Line(name, counts.get(name, document["questions"][split]), values, paired)
    for name, numbers in _further(document, split):
        known = {system: Value(value) for system, value in numbers.items() if value is not None}
        yield Line(name, None, known, None)


def _further(
    document: Mapping[str, Any], split: str
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Name and value by system of what belongs to all questions together, or to a group of them."""
    overall = _note(document, "overall", split)
    for name in dict.fromkeys(name for numbers in overall.values() for name in numbers):
        yield name, {system: numbers.get(name) for system, numbers in overall.items()}
    breakdown = _note(document, "breakdown", split)
    for metric in dict.fromkeys(metric for metrics in breakdown.values() for metric in metrics):
        groups: dict[str, int] = {}
        for metrics in breakdown.values():
            for group, numbers in metrics.get(metric, {}).items():
                groups[group] = max(groups.get(group, 0), numbers["questions"])
        if len(groups) > MOST_GROUPS:
            continue
        for group, count in groups.items():
            values = {}
            for system, metrics in breakdown.items():
                values[system] = metrics.get(metric, {}).get(group, {}).get("mean")
            yield f"{metric}: {group} ({count} questions)", values


def _warn_of_ties(systems: Sequence[str], ties: Mapping[str, int], questions: int) -> None:
    for system in systems:
        if ties.get(system) == questions:
            print(
                f"WARNING: {system}: {questions} of {questions} questions have a tied top: its "
                "order below is by passage id and says nothing"
            )


def _cell(value: Value | None, sign: str = "") -> str:
    if value is None:
        return "-"
    mean, low, high = (None if part is None else f"{100 * part:{sign}.1f}" for part in value)
    return f"{mean}" if low is None else f"{mean} [{low}, {high}]"


def heading(document: Mapping[str, Any], split: str) -> str:
    """What stands above the table: which questions, and in what they were computed."""
    questions = document["questions"][split]
    total = document.get("of_questions", {}).get(split, questions)
    of_all = "" if total == questions else f" of {total}"
    left_out = _note(document, "left_out", split)
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    why = f" ({reasons})" if reasons else ""
    precision = document.get("precision", {}).get(split, "32-true")
    computed = "" if precision == "32-true" else f", computed in {precision}"
    return f"{split}: {questions}{of_all} questions{why}, in % [95 % bootstrap interval]{computed}"


def remarks(document: Mapping[str, Any], split: str) -> Iterator[str]:
    """What stands under the table: what was tied, left out, cut, or could not be read; nothing if
    all is well."""
    questions = document["questions"][split]
    ties = _note(document, "tied_tops", split)
    tied = [f"{system} {ties[system]}" for system in in_order(document[split]) if ties.get(system)]
    if tied:
        yield (
            f"tied at the top, and ordered by passage id there: {', '.join(tied)} of {questions} "
            "questions"
        )
    unranked = _note(document, "unranked", split)
    if unranked:
        lacking = ", ".join(f"{system} {unranked[system]}" for system in in_order(unranked))
        yield f"questions without such a ranking: {lacking} of {questions}, left out of it alone"
    fused = _note(document, "fused", split)
    if fused:
        yield f"fused: {merge_of(fused)}"
    for generator in _note(document, "generators", split) or ():
        name = generator["name"] or generator["class"]
        failed = generator.get("failed_questions", 0)
        if failed:
            yield (
                f"WARNING: {name}: {failed} of {generator['questions']} questions are left out of "
                "all its figures, since an answer about them could not be had; the next run asks "
                "again"
            )
        systems: dict[str, Mapping[str, Any]] = generator.get("systems", {})
        unparsed = _shares(systems, "unparsed", "answers")
        if unparsed:
            yield f"{name}: replies that could not be read, and count as wrong: {unparsed}"
        cut = _shares(systems, "passages_cut", "passages")
        if cut:
            yield f"{name}: passages left out to fit the model's window: {cut}"
        shortened = _shares(systems, "answers_with_tokens_cut", "answers")
        if shortened:
            yield f"{name}: answers from a last passage that was cut short to fit: {shortened}"


def merge_of(fused: Mapping[str, Any]) -> str:
    """How reranker and retriever were merged, from the note of an evaluation."""
    weights = fused["weights"]
    if weights is None:
        return f"reranker and retriever by {fused['method']}"
    shown = f"reranker {weights[0]:.2f} and retriever {weights[1]:.2f} by {fused['method']}"
    if LEARNT_ON not in fused:
        return shown
    return (
        f"{shown}, weights learnt on {fused[LEARNT_ON]} training questions (nDCG@10 there "
        f"{fused['nDCG@10']:.3f}, with equal weights {fused['nDCG@10, equal weights']:.3f})"
    )


def _shares(systems: Mapping[str, Mapping[str, Any]], key: str, of: str) -> str:
    """``base 3 of 40, tuned 2 of 40`` of those systems that have some."""
    parts = []
    for system in in_order(systems):
        if systems[system][key]:
            parts.append(f"{system} {systems[system][key]} of {systems[system][of]}")
    return ", ".join(parts)


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
