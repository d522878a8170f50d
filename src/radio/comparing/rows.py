"""What is compared: each system of each group of runs, those that are the same once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.comparing.grouping import Group
from radio.comparing.matching import Matched
from radio.comparing.reading import Values
from radio.evaluation.systems import CLOSED_BOOK, in_order

Columns = Mapping[str, NDArray[np.float64]]
"""Measure -> values ``[seeds, questions]``, NaN where a question has none."""

TRAINED = "tuned"
"""The system that another training makes another one, even where its numbers are the same."""

PRIMARY = ("em", "accuracy", "nDCG@5", "RR@10")
"""Measures that head a comparison, the first that there is; of a generator at the first depth."""


@dataclass(frozen=True)
class Row:
    """A system, as one row of a comparison.

    Args:
        name: shown: the system's, with that of its group before it where that is needed.
        system: its name in the run folders.
        groups: whose it is: several where its numbers are the same in all of them.
        columns: its numbers.
    """

    name: str
    system: str
    groups: tuple[Group, ...]
    columns: Columns

    @property
    def seeds(self) -> int:
        """Trainings that its numbers are of; 1 too for what is the same in all of them."""
        return max(len(column) for column in self.columns.values())

    @property
    def trained(self) -> bool:
        """Whether another training would give other numbers."""
        return self.system == TRAINED or self.seeds > 1


def rows_of(groups: Sequence[Group], found: Matched) -> list[Row]:
    """All systems of all groups, in the order in which systems are shown.

    A system whose numbers are the same in all runs of a group, as those of the retriever, has one
    seed; one whose numbers are the same in several groups is one row. The tuned rerankers of two
    groups are two, however alike.
    """
    read = {values.run.name: _Aligned(values, found.questions) for values in found.values}
    rows: dict[str, list[Row]] = {}
    for group in groups:
        runs = [read[run.name] for run in group.runs]
        for system in in_order(name for run in runs for name in run.values.numbers):
            columns = _columns(runs, system)
            if columns:
                _add(rows.setdefault(system, []), Row("", system, (group,), columns))
    measures = dict.fromkeys(
        measure for same in rows.values() for row in same for measure in row.columns
    )
    named = []
    for system in in_order(rows):
        for row in rows[system]:
            alone = len(groups) == 1 or (len(rows[system]) == 1 and system != TRAINED)
            name = system if alone else f"{row.groups[0].name}:{system}"
            numbers = row.columns
            if system == CLOSED_BOOK:
                numbers = _at_each_depth(numbers, measures)
            named.append(Row(name, system, row.groups, numbers))
    return named


class _Aligned:
    """The numbers of a run in the order of the questions that are compared."""

    def __init__(self, values: Values, questions: Sequence[str]) -> None:
        self.values = values
        place = {question: number for number, question in enumerate(values.asked)}
        self._places = np.array([place[question] for question in questions])

    def column(self, system: str, measure: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.values.numbers[system][measure][self._places]
        return values


def _columns(runs: Sequence[_Aligned], system: str) -> dict[str, NDArray[np.float64]]:
    """Of the measures that all runs have; once where a training changes nothing."""
    numbers = [run.values.numbers.get(system, {}) for run in runs]
    columns = {}
    for measure in numbers[0]:
        if all(measure in measures for measures in numbers):
            columns[measure] = np.stack([run.column(system, measure) for run in runs])
    if system != TRAINED and all(_is_repeated(column) for column in columns.values()):
        return {measure: column[:1] for measure, column in columns.items()}
    return columns


def partial(group: Group, found: Matched) -> list[str]:
    """What some runs of a group have and others lack, and is not compared for that: systems, or
    measures of one."""
    names = [run.name for run in group.runs]
    numbers = [values.numbers for values in found.values if values.run.name in names]
    parts = []
    for system in in_order(name for one in numbers for name in one):
        of_runs = [one.get(system, {}) for one in numbers]
        if not all(of_runs):
            parts.append(system)
            continue
        for measure in dict.fromkeys(name for measures in of_runs for name in measures):
            if not all(measure in measures for measures in of_runs):
                parts.append(f"{measure} of {system}")
    return parts


def _is_repeated(column: NDArray[np.float64]) -> bool:
    return all(np.array_equal(column[0], other, equal_nan=True) for other in column[1:])


def _add(rows: list[Row], row: Row) -> None:
    """Add a row, or its group to the one that has the same numbers."""
    for number, other in enumerate(rows):
        if row.system != TRAINED and _same(row.columns, other.columns):
            groups = (*other.groups, *row.groups)
            rows[number] = Row("", row.system, groups, {**row.columns, **other.columns})
            return
    rows.append(row)


def _same(first: Columns, second: Columns) -> bool:
    shared = first.keys() & second.keys()
    return bool(shared) and all(
        np.array_equal(first[measure], second[measure], equal_nan=True) for measure in shared
    )


def _at_each_depth(columns: Columns, measures: Iterable[str]) -> Columns:
    """Without a passage there is no depth: ``em`` of the closed book is set against ``em@1``."""
    found = dict(columns)
    for measure in measures:
        plain = measure.rpartition("@")[0]
        if plain in columns:
            found.pop(plain, None)
            found[measure] = columns[plain]
    return found


def measures_of(rows: Sequence[Row]) -> list[str]:
    """The measures that two rows or more have, in the order of the run folders."""
    counts: dict[str, int] = {}
    # the closed book has some of them only
    for row in sorted(rows, key=lambda row: row.system == CLOSED_BOOK):
        for measure in row.columns:
            counts[measure] = counts.get(measure, 0) + 1
    return [measure for measure, count in counts.items() if count > 1]


def primary_of(measures: Sequence[str]) -> str:
    """The measure that heads a comparison: see :data:`PRIMARY`."""
    found = (meant(name, measures) for name in PRIMARY)
    return next((measure for measure in found if measure is not None), measures[0])


def meant(name: str, measures: Sequence[str]) -> str | None:
    """The first measure of a name, whatever generator and depth: ``em`` is ``em@1``, or
    ``large_em@3``; None if there is none."""
    if name in measures:
        return name
    pattern = re.compile(rf"(?:.*_)?{re.escape(name)}(?:@\d+)?")
    return next((measure for measure in measures if pattern.fullmatch(measure)), None)
