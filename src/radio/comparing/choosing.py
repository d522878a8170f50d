"""From run folders to a comparison: which systems, by which measures, against which of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from radio.comparing.comparison import Figures, figures
from radio.comparing.grouping import Group, grouped
from radio.comparing.matching import Matched, is_of_order, matched
from radio.comparing.reading import read_runs
from radio.comparing.rows import Row, meant, measures_of, primary_of, rows_of
from radio.schema import InputError

BASELINES = ("base", "retriever")
"""Systems that the others are compared with where none is named, the first that there is."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Args:
        groups: of the runs.
        found: the questions that are compared.
        rows: the systems.
        baseline: name of the row that the others are compared with.
        measures: that are compared; the first is the primary one.
        figures: what the comparison finds.
        draws: of the bootstrap, and of the test.
    """

    groups: Sequence[Group]
    found: Matched
    rows: Sequence[Row]
    baseline: str
    measures: Sequence[str]
    figures: Figures
    draws: int


def compare_runs(
    folders: Sequence[str | Path],
    *,
    named: Mapping[str, Sequence[str | Path]] | None = None,
    baseline: str | None = None,
    systems: Sequence[str] | None = None,
    measure: str | None = None,
    measures: Sequence[str] | None = None,
    split: str | None = None,
    common: bool = False,
    draws: int = 10_000,
) -> Comparison:
    """Compare the systems in run folders.

    Args:
        folders: of the runs.
        named: folders of runs that are one group, by its name; the others are grouped by their
            configs.
        baseline: ``SYSTEM`` or ``RUN:SYSTEM``, where ``RUN`` is a run or a group; None takes the
            first of :data:`BASELINES`.
        systems: names of systems or of rows; None takes all.
        measure: the primary one; None takes that of :func:`radio.comparing.rows.primary_of`.
        measures: the others; None takes all.
        split: None takes the first of :data:`radio.comparing.matching.SPLITS` that all runs have.
        common: compare what the runs have in common, rather than refuse those that differ.
        draws: of the bootstrap, and of the test.

    Raises:
        InputError: a folder is no evaluated run, runs cannot be compared, or a name is not known.
    """
    named = named or {}
    runs = read_runs([*folders, *(folder for members in named.values() for folder in members)])
    by_place = {run.folder.resolve(): run for run in runs}
    members = {
        name: [by_place[Path(folder).resolve()] for folder in places]
        for name, places in named.items()
    }
    groups = grouped(runs, members)
    found = matched(runs, split, common=common)
    rows = rows_of(groups, found)
    reference = _baseline(baseline, rows, groups)
    rows = _chosen_rows(rows, systems, reference)
    by = _measures(rows, reference, found, measure, measures, common)
    found_out = figures(rows, reference, by, draws=draws)
    return Comparison(groups, found, rows, reference.name, by, found_out, draws)


def _baseline(wanted: str | None, rows: Sequence[Row], groups: Sequence[Group]) -> Row:
    if wanted is None:
        for system in (*BASELINES, rows[0].system):
            for row in rows:
                if row.system == system:
                    return row
    fitting = _called(rows, str(wanted))
    if len(fitting) == 1:
        return fitting[0]
    found = "several of that name" if fitting else "none of that name"
    raise InputError(
        f"--baseline {wanted}: found {found}, expected one of {_names_of(fitting or rows)}"
    )


def _called(rows: Sequence[Row], name: str) -> list[Row]:
    """The row of this name; where there is none, those that are meant by it."""
    return [row for row in rows if row.name == name] or [
        row for row in rows if _is_called(row, name)
    ]


def _is_called(row: Row, name: str) -> bool:
    """Whether a row is meant by the name of its system, or ``RUN:SYSTEM``."""
    if name == row.system:
        return True
    where, _, system = name.rpartition(":")
    if system != row.system:
        return False
    if where in [group.name for group in row.groups]:
        return True
    place = Path(where).resolve()
    runs = [run for group in row.groups for run in group.runs]
    return any(where == run.name or place == run.folder.resolve() for run in runs)


def _names_of(rows: Sequence[Row]) -> str:
    return ", ".join(row.name for row in rows)


def _chosen_rows(rows: Sequence[Row], systems: Sequence[str] | None, baseline: Row) -> list[Row]:
    """Rows of these systems, and the baseline."""
    wanted = [baseline]
    for name in systems or ():
        called = _called(rows, name)
        if not called:
            raise InputError(f"--systems: found {name!r}, expected some of {_names_of(rows)}")
        wanted += called
    chosen = [row for row in rows if systems is None or any(row is one for one in wanted)]
    if len(chosen) < 2:
        raise InputError(
            f"found one system, {baseline.name}, and nothing to compare it with; name further "
            "runs, or --systems"
        )
    return chosen


def _measures(
    rows: Sequence[Row],
    baseline: Row,
    found: Matched,
    first: str | None,
    others: Sequence[str] | None,
    common: bool,
) -> list[str]:
    """The measures, the primary one first.

    Raises:
        InputError: one is not known, or its readers differ.
    """
    known = [measure for measure in measures_of(rows) if measure in baseline.columns]
    if not known:
        raise InputError(
            f"no measure is known of {baseline.name} and of another system: nothing to compare"
        )
    wanted = [_known("--measures", name, known) for name in others or known]
    if first is not None:
        first = _known("--measure", first, known)
        wanted = [first, *wanted]
    differing = [measure for measure in wanted if measure in found.readers]
    if differing and (not common or first in differing):
        raise InputError(_different_readers(differing[0], found.readers[differing[0]], known))
    kept = [measure for measure in dict.fromkeys(wanted) if measure not in found.readers]
    if not kept:
        raise InputError(_different_readers(differing[0], found.readers[differing[0]], known))
    of_all = [name for name in kept if all(name in row.columns for row in rows if row.trained)]
    head = first or primary_of(of_all or kept)
    return [head, *(measure for measure in kept if measure != head)]


def _known(option: str, name: str, known: Sequence[str]) -> str:
    measure = meant(name, known)
    if measure is None:
        spelt = {measure.lower(): measure for measure in known}
        near = difflib.get_close_matches(name.lower(), spelt, n=1)
        hint = f"; did you mean {spelt[near[0]]}?" if near else ""
        raise InputError(f"{option}: found {name!r}, expected some of {', '.join(known)}{hint}")
    return measure


def _different_readers(measure: str, readers: str, known: Sequence[str]) -> str:
    orders = [name for name in known if is_of_order(name)]
    way = f"; --measures {','.join(orders)} compares what no generator has made" if orders else ""
    return f"{measure} is not of the same generator: {readers}{way}, --common leaves the others out"
