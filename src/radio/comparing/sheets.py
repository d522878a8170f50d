"""A comparison as tables of words and numbers, the same on the terminal and in files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radio.comparing.choosing import Comparison
from radio.comparing.comparison import LEVEL, POWER, Difference, Mean
from radio.comparing.reading import RunResults
from radio.comparing.rows import partial

NONE = "-"
"""In the place of a number that there is none of."""


@dataclass(frozen=True)
class Sheet:
    """A table: the first column has names, the others numbers as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def sheets(comparison: Comparison) -> list[Sheet]:
    """The primary measure with all that is known of it, then the others."""
    found = [_primary(comparison)]
    if len(comparison.measures) > 1:
        found.append(_others(comparison))
    return found


def _primary(comparison: Comparison) -> Sheet:
    measure = comparison.measures[0]
    seeded = any(row.seeds > 1 for row in comparison.rows)
    columns = [
        "system",
        measure,
        f"minus {comparison.baseline}",
        "p (Holm)",
        "d_z",
        "won/tied/lost",
        "could show",
        *(["seeds"] if seeded else []),
    ]
    rows = []
    for row in comparison.rows:
        mean = comparison.figures.means[measure].get(row.name)
        difference = comparison.figures.differences[measure].get(row.name)
        cells = [
            _named(row.name, mean, comparison),
            interval(mean.mean, mean.low, mean.high) if mean else NONE,
            *_difference_cells(difference),
            *([_seeds(mean)] if seeded else []),
        ]
        rows.append(cells)
    questions = len(comparison.found.questions)
    where = f"{_dataset(comparison)}, {comparison.found.split}: {questions:,} questions"
    return Sheet(f"{measure}, in % [95 % interval], of {where}", columns, rows)


def _named(name: str, mean: Mean | None, comparison: Comparison) -> str:
    """The name of a row, with its questions if they are not all."""
    if mean is None or mean.questions == len(comparison.found.questions):
        return name
    return f"{name} ({mean.questions:,} questions)"


def _difference_cells(found: Difference | None) -> list[str]:
    if found is None:
        return [NONE] * 5
    return [
        interval(found.difference, found.low, found.high, "+"),
        p_value(found.p_holm),
        _number(found.effect, "+.2f"),
        f"{found.won}/{found.tied}/{found.lost}",
        _percent(found.detectable),
    ]


def _seeds(mean: Mean | None) -> str:
    """How many, and the lowest and highest of their means."""
    if mean is None or len(mean.by_seed) == 1:
        return NONE
    return f"{len(mean.by_seed)}: {_percent(min(mean.by_seed))} to {_percent(max(mean.by_seed))}"


def _others(comparison: Comparison) -> Sheet:
    """A row for each measure, a column for each system."""
    rows = []
    for measure in comparison.measures[1:]:
        cells = [measure]
        for row in comparison.rows:
            mean = comparison.figures.means[measure].get(row.name)
            difference = comparison.figures.differences[measure].get(row.name)
            cells.append(_brief(mean, difference))
        rows.append(cells)
    title = f"other measures: mean, difference to {comparison.baseline}, in %"
    return Sheet(title, ["measure", *(row.name for row in comparison.rows)], rows)


def _brief(mean: Mean | None, difference: Difference | None) -> str:
    if mean is None:
        return NONE
    if difference is None:
        return _percent(mean.mean)
    # without a mark a blank, so that the digits stand below each other
    mark = "*" if difference.shown else " "
    return f"{_percent(mean.mean)} {_percent(difference.difference, '+')}{mark}"


def interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """A number with its interval, in percent."""
    return f"{_percent(mean, sign)} [{_percent(low, sign)}, {_percent(high, sign)}]"


def p_value(value: float) -> str:
    """With as many digits as the number of draws allows."""
    return _number(value, ".4f")


def _percent(value: float, sign: str = "") -> str:
    # no minus before what rounds to nothing
    return _number(round(100 * value, 1) + 0.0, f"{sign}.1f")


def _number(value: float, form: str) -> str:
    return NONE if math.isnan(value) else format(value, form)


def _dataset(comparison: Comparison) -> str:
    """The data modules of the runs, as far as their configs say."""
    names = dict.fromkeys(dataset_of(run) for group in comparison.groups for run in group.runs)
    return " and ".join(names)


def dataset_of(run: RunResults) -> str:
    """Name of the data module of a run, without what all such names end in."""
    data = run.config.get("data")
    path = data.get("class_path") if isinstance(data, dict) else None
    return str(path).rpartition(".")[2].removesuffix("DataModule") if path else "a dataset"


def remarks(comparison: Comparison) -> Iterator[str]:
    """What is to be known of the tables: what the numbers mean, what is not covered, what was left
    out."""
    yield from _of_the_runs(comparison)
    measure = comparison.measures[0]
    draws, count = comparison.draws, len(comparison.figures.differences[measure])
    yield (
        f"p: sign-flip test over the questions, {draws:,} draws, corrected (Holm) in families of "
        f"one dataset, split and measure: {count} comparison{'s' if count != 1 else ''} with "
        f"{comparison.baseline} by {measure}; * p < {LEVEL:g}, and an interval without 0"
    )
    yield (
        "d_z: mean by standard deviation of the differences; could show: the smallest difference "
        f"found with {100 * POWER:.0f} % power among so many questions and comparisons"
    )
    several = any(row.seeds > 1 for row in comparison.rows)
    if several:
        yield (
            "intervals are over seeds and questions; p is over the questions, for these trainings: "
            "where trainings differ much, it is too low"
        )
    single = [row.name for row in comparison.rows if row.trained and row.seeds == 1]
    if single:
        yield (
            f"one seed of {', '.join(single)}: what another training would have given is in none "
            "of the intervals"
        )


def _of_the_runs(comparison: Comparison) -> Iterator[str]:
    found = comparison.found
    if found.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in found.left_out.items())
        yield (
            f"compared on the {len(found.questions):,} questions that all runs have in common; "
            f"left out: {reasons}"
        )
    if found.readers:
        yield f"left out, since their generators differ: {', '.join(found.readers)}"
    if found.unknown:
        yield (
            f"{', '.join(found.unknown)}: from before run folders said what was asked; questions "
            "are told by their ids alone"
        )
    for group in comparison.groups:
        if len(group.runs) > 1:
            members = ", ".join(f"{run.name} (seed {run.seed})" for run in group.runs)
            yield f"{group.name}: {members}"
        lacking = partial(group, found)
        if lacking:
            yield f"{group.name}: not compared, since not all seeds have it: {', '.join(lacking)}"
        if group.twin_of:
            yield f"{group.name}: config and seed of {group.twin_of}, and so no further seed of it"
        for run in group.runs:
            if run.unfinished:
                yield f"WARNING: {run.name}: its training has not ended; these are earlier figures"
    yield from _lacking(comparison)


def _lacking(comparison: Comparison) -> Iterator[str]:
    """Which measures are not of all questions."""
    total = len(comparison.found.questions)
    by_count: dict[int, list[str]] = {}
    fewest: dict[str, int] = {}
    for measure in comparison.measures:
        means = comparison.figures.means[measure]
        of_baseline = means[comparison.baseline].questions
        by_count.setdefault(of_baseline, []).append(measure)
        for name, mean in means.items():
            if mean.questions < of_baseline:
                fewest[name] = min(mean.questions, fewest.get(name, total))
    for count, measures in by_count.items():
        if count < total:
            yield f"{count:,} of {total:,} questions have {', '.join(measures)}"
    for name, count in fewest.items():
        yield (
            f"{name} has numbers of {count:,} questions at least: differences to it are over those "
            "that both have"
        )
