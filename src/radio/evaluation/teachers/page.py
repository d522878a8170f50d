"""The page about teachers: ``pages/teachers.html`` and ``teachers.css``, filled by Jinja2."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio.evaluation.teachers.measure import ENTROPY, SHARE
from radio.evaluation.teachers.plots import plots
from radio.evaluation.teachers.table import (
    LEVEL,
    best_weight,
    generators,
    left_out,
    mark,
    seconds,
    title,
)
from radio.pages import template
from radio.rationales.page import PAGES as SHARED
from radio.schema import Passage
from radio.text import has_answer

PAGES = Path(__file__).with_name("pages")

EXAMPLES = 5
"""Questions that the page shows of each kind and teacher."""

LONGEST = 300
"""Characters of a passage that are shown."""


class Cell(NamedTuple):
    """A figure of a teacher."""

    value: str
    interval: str
    difference: str
    """To the reference, with its p-value; empty of the reference itself."""
    mark: str


class Example(NamedTuple):
    """A question of which a teacher's first passage is another one than the retriever's."""

    id: str
    question: str
    answers: Sequence[str]
    first: Mapping[str, str]
    """Teacher -> the passage that it has on top."""


class Group(NamedTuple):
    """Examples of one kind."""

    title: str
    shown: Sequence[Example]
    total: int


def page(
    document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], passages: Mapping[str, Passage]
) -> str:
    """One HTML document without scripts and without anything to load; whatever others wrote is
    escaped.

    Args:
        document: as in ``teachers.json`` (:func:`radio.evaluation.teachers.measure.measure`).
        rows: of the questions.
        passages: the corpus.
    """
    names = list(document["teachers"])
    return template([PAGES, SHARED], "teachers.html").render(
        title=title(document),
        reference=document["reference"],
        level=LEVEL,
        others=len(names) - 1,
        tiles=_tiles(document),
        metrics=document["metrics"],
        quality={name: _cells(document, name) for name in names},
        plots=plots(document, rows),
        teachers={name: _facts(document, name) for name in names},
        remarks=[
            *left_out(document),
            *([best_weight(document)] if document["curve"] else []),
            *generators(document),
            *document["remarks"],
        ],
        groups=_groups(document, rows, passages),
    )


def _tiles(document: Mapping[str, Any]) -> dict[str, str]:
    missing = document["of_questions"] - document["questions"]
    temperature = document["temperature"]
    return {
        f"questions of {document['split']} ({missing:,} left out)": f"{document['questions']:,}",
        "candidates of a question": f"{document['candidates']:.0f}",
        "teachers": f"{len(document['teachers'])}",
        f"temperature of the targets ({temperature['of']})": _temperature(document),
    }


def _temperature(document: Mapping[str, Any]) -> str:
    value = document["temperature"]["value"]
    return "none" if value is None else f"{value:g}"


def _cells(document: Mapping[str, Any], name: str) -> list[Cell]:
    numbers = document["teachers"][name]
    cells = []
    for metric in document["metrics"]:
        if metric not in numbers["means"]:
            cells.append(Cell("-", "", "", ""))
            continue
        low, high = numbers["intervals"][metric]
        tested = numbers["differences"].get(metric)
        difference = ""
        if tested is not None:
            difference = f"{100 * tested['difference']:+.1f}, p {_p_value(tested['p_holm'])}"
        cells.append(
            Cell(
                f"{100 * numbers['means'][metric]:.1f}",
                f"{100 * low:.1f} to {100 * high:.1f}",
                difference,
                {"+": "better", "-": "worse"}.get(mark(document, name, metric), ""),
            )
        )
    return cells


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _facts(document: Mapping[str, Any], name: str) -> dict[str, str]:
    """What a teacher is, needs and costs, and how decided it is: label -> value."""
    numbers = document["teachers"][name]
    means = numbers["means"]
    facts = {
        "class": numbers["class"],
        "from": numbers["origin"],
        "needs": ", ".join(numbers["needs"]) or "candidates alone",
        "scored": f"{numbers['scored']:,} of {document['of_questions']:,}",
        "cached": f"{numbers['cached']:,}",
        "seconds": seconds(numbers),
        "all tied": f"{numbers['all_tied']:,}",
        "tied at the top": f"{numbers['tied_tops']:,}",
        "entropy, nats": f"{means[ENTROPY]:.2f}" if ENTROPY in means else "-",
        "of the largest": f"{100 * means[SHARE]:.0f} %" if SHARE in means else "-",
    }
    for key, value in (numbers["costs"] or {}).items():
        facts[key] = "-" if value is None else f"{value:,}"
    return facts


def _groups(
    document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], passages: Mapping[str, Passage]
) -> list[Group]:
    """For each teacher, questions of which its first passage is right and the retriever's wrong,
    and the other way round."""
    reference = document["reference"]
    metric = next((name for name in ("P@1", "gold_P@1") if name in document["metrics"]), None)
    if metric is None:
        return []
    groups = []
    for name in document["teachers"]:
        if name == reference:
            continue
        for words, wanted in (("gained", 1.0), ("lost", -1.0)):
            found = []
            for row in rows:
                mine = row["teachers"].get(name, {}).get(metric)
                other = row["teachers"].get(reference, {}).get(metric)
                if mine is not None and other is not None and mine - other == wanted:
                    found.append(row)
            if found:
                shown = [_example(row, (reference, name), passages) for row in found[:EXAMPLES]]
                groups.append(Group(f"{metric} {words} by {name}", shown, len(found)))
    return groups


def _example(
    row: Mapping[str, Any], names: Sequence[str], passages: Mapping[str, Passage]
) -> Example:
    first = {}
    for name in names:
        passage = passages[row["teachers"][name]["passage_ids"][0]]
        holds = has_answer(passage.contents, row["golden_answers"])
        text = " ".join(passage.contents.split())
        cut = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
        first[f"{name}, {passage.id}{', with an answer' if holds else ''}"] = cut
    return Example(row["id"], row["question"], row["golden_answers"], first)
