"""The page about rationales: ``pages/report.html`` and ``report.css``, filled by Jinja2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio.pages import template
from radio.rationales.plots import Plot, plots
from radio.rationales.table import percent, table

PAGES = Path(__file__).with_name("pages")

EXAMPLES = 5
"""Rationales that the page shows for each check, and of those that pass all."""


class Examples(NamedTuple):
    """Some rationales of one kind."""

    title: str
    shown: Sequence[Mapping[str, Any]]
    total: int


class Section(NamedTuple):
    """A split on the page."""

    split: str
    tiles: Mapping[str, str]
    """Label -> the numbers that one looks for first."""
    plots: Sequence[Plot]
    table: Mapping[str, str]
    examples: Sequence[Examples]


def page(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """One HTML document without scripts and without anything to load; whatever others wrote is
    escaped.

    Args:
        numbers: of each split (:func:`radio.rationales.report.measure`).
        rows: of the questions of all splits.
    """
    sections = []
    for split, of_split in numbers.items():
        sections.append(_section(split, of_split, [row for row in rows if row["split"] == split]))
    return template([PAGES], "report.html").render(sections=sections)


def _section(split: str, numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Section:
    has_rationales = numbers["rationales"] > 0
    return Section(
        split,
        _tiles(numbers),
        plots(numbers, rows) if has_rationales else [],
        table(numbers),
        _examples(numbers, rows) if has_rationales else [],
    )


def _tiles(numbers: Mapping[str, Any]) -> dict[str, str]:
    support = numbers["support"]
    tiles = {
        "questions": f"{numbers['questions']:,}",
        f"rationales ({numbers['missing']:,} missing)": f"{numbers['rationales']:,}",
    }
    filters = ", ".join(numbers["filters"]) or "none"
    tiles[f"pass the filters ({filters})"] = percent(numbers["pass_filters"])
    if "similar" in support:
        tiles["have a supporting candidate"] = percent(support["similar"])
    else:
        tiles["have a candidate that contains an answer"] = percent(support["answer"])
    return tiles


def _examples(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Examples]:
    """For each check the first rationales that fail it, and some that pass all, spread over the
    split."""
    written = [row for row in rows if row["rationale"] is not None]
    groups = []
    for name in numbers["checks"]:
        failing = [row for row in written if name in row["failed"]]
        groups.append(Examples(f"fails {name}", failing[:EXAMPLES], len(failing)))
    passing = [row for row in written if not row["failed"]]
    step = max(1, len(passing) // EXAMPLES)
    groups.append(Examples("passes every check", passing[::step][:EXAMPLES], len(passing)))
    return [group for group in groups if group.total]
