"""The page about runs: ``pages/report.html`` with its style sheets and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio import __version__
from radio.comparing.choosing import Comparison
from radio.comparing.reading import RunResults
from radio.comparing.rows import Row
from radio.comparing.sheets import remarks
from radio.pages import content_hash, inert_json, template
from radio.reporting.diagnosis import Group, diagnosed, read_diagnosis, verdicts
from radio.reporting.explorer import Explored
from radio.reporting.plots import colours, curves_by_depth, training_curves
from radio.reporting.provenance import costs, differing, origins
from radio.reporting.story import sentences, verdict
from radio.reporting.tables import compared, gains, ordered
from radio.reporting.transfer import Transferred

PAGES = Path(__file__).with_name("pages")

STYLES = ("report.css", "diagnosis.css", "explorer.css")
SCRIPTS = ("shared.js", "list.js", "question.js", "orders.js", "start.js")


def page(
    comparison: Comparison,
    pair: tuple[Row, Row],
    explored: Explored,
    transfer: Transferred | None = None,
) -> str:
    """One HTML document that loads nothing, and runs its own script alone.

    Args:
        comparison: of the runs.
        pair: the two systems that it is about: before and after.
        explored: the questions.
        transfer: the matrix of ``radio transfer``, if one belongs to it.
    """
    before, after = pair
    runs = [run for group in comparison.groups for run in group.runs]
    split, (measure, *others) = comparison.found.split, comparison.measures
    palette = colours(comparison.rows)
    difference = comparison.figures.differences[measure].get(after.name)
    found, unfit = _diagnoses(runs, split)
    style = _joined(STYLES)
    script = f'"use strict";\n(() => {{\n{_joined(SCRIPTS)}}})();\n'
    return template([PAGES], "report.html").render(
        policy=(
            f"default-src 'none'; script-src {content_hash(script)}; "
            f"style-src {content_hash(style)}; base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        data=inert_json(explored.document),
        title=", ".join(group.name for group in comparison.groups),
        split=split,
        verdict=verdict(comparison, after, difference),
        sentences=sentences(runs, comparison.found),
        remarks=remarks(comparison),
        before=before.name,
        after=after.name,
        record=difference,
        headline=compared(comparison, measure, palette),
        tables=[compared(comparison, name, palette) for name in ordered(others)],
        seeds=any(row.seeds > 1 for row in comparison.rows),
        depth_charts=curves_by_depth(comparison, palette),
        training_charts=training_curves(runs, split, measure),
        gains=gains(pair, split),
        transfer=transfer,
        left_out=explored.remarks,
        diagnoses=found,
        undiagnosed=unfit,
        origins=origins(runs, split),
        differing=differing(runs),
        costs=costs(runs, split),
        version=__version__,
    )


class Diagnosed(NamedTuple):
    """What ``radio diagnose`` has left in a run folder."""

    run: str
    document: Mapping[str, Any]
    verdicts: Sequence[str]
    groups: Sequence[Group]


def _diagnoses(runs: Sequence[RunResults], split: str) -> tuple[list[Diagnosed], list[str]]:
    """Those of the runs, and what to say of some that do not fit the results."""
    found, said = [], []
    for run in runs:
        document, reason = read_diagnosis(run, split)
        if document is not None:
            told = list(verdicts(document)), diagnosed(document)
            found.append(Diagnosed(run.name, document, *told))
        elif reason:
            said.append(reason)
    return found, said


def _joined(names: Sequence[str]) -> str:
    return "\n".join((PAGES / name).read_text(encoding="utf-8") for name in names)
