"""An evaluation as tables for the loggers: the figures, the curves by depth, and the questions.

They are made of what the run folder holds, once for all loggers. Texts of questions and answers
come from outside: who shows them as markup escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from radio.comparing.choosing import BASELINES
from radio.comparing.comparison import ROUNDING
from radio.comparing.rows import TRAINED, primary_of
from radio.evaluation.files import read_metrics, read_predictions
from radio.evaluation.measure import at_depths, is_an_error
from radio.evaluation.sampling import sampled
from radio.evaluation.systems import CLOSED_BOOK, in_order
from radio.evaluation.table import COMPARED, Table, Value, figures, heading, remarks, table_of
from radio.pages import unturned
from radio.text import squeezed

MOST_QUESTIONS = 1_000
"""Rows of the table of questions; of more, those that were won or lost come first."""

FIRST = 5
"""Passages of each order whose ids the table of questions has."""

Cell = str | float | None
"""Of a table with numbers, which are in shares of 1."""

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Numbers(NamedTuple):
    """A table that a program reads."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Evaluated:
    """What the loggers get of an evaluation.

    Args:
        split: which questions.
        shown: the table of the terminal, in percent.
        figures: the same as numbers: mean and interval of each metric and system, and of the paired
            difference.
        curves: of each metric that was taken at several depths: ``k``, ``system``, ``mean``,
            ``low``, ``high``.
        questions: each question with what is known of it by system; the first columns say which it
            is and whether it was won.
        left_out: what the table of questions leaves out; None where it has all.
        notes: that, and what stands above and below the table.
    """

    split: str
    shown: Table
    figures: Numbers
    curves: Mapping[str, Numbers]
    questions: Numbers
    left_out: str | None
    notes: Sequence[str]


def evaluated(folder: Path, split: str, most: int = MOST_QUESTIONS) -> Evaluated | None:
    """The evaluation of a split that a run folder holds, None if there is none.

    Args:
        folder: of the run.
        split: which questions.
        most: rows of the table of questions.

    Raises:
        InputError: files of the folder are damaged.
    """
    document = read_metrics(folder / "metrics.json")
    if not document.get(split):
        return None
    told = [row for row in read_predictions(folder / "predictions.jsonl") if row["split"] == split]
    outcomes = Outcomes.of(document, split)
    questions, left_out = _questions(told, document, split, outcomes, most)
    notes = [heading(document, split), *remarks(document, split), *outcomes.said()]
    if left_out is not None:
        notes.append(left_out)
    return Evaluated(
        split,
        table_of(document, split),
        _figures(document, split),
        {name: _curve(document, split, of) for name, of in _depths(document, split).items()},
        questions,
        left_out,
        notes,
    )


# The figures


def _figures(document: Mapping[str, Any], split: str) -> Numbers:
    systems = in_order(document[split])
    columns = ["metric", "questions"]
    for name in (*systems, COMPARED):
        columns += [name, f"{name}, low", f"{name}, high"]
    rows: list[list[Cell]] = []
    for line in figures(document, split):
        row: list[Cell] = [line.name, line.questions]
        for system in systems:
            row += line.values.get(system) or NO_VALUE
        row += line.difference or NO_VALUE
        rows.append(row)
    return Numbers(columns, rows)


NO_VALUE = (None, None, None)


def _depths(document: Mapping[str, Any], split: str) -> dict[str, dict[int, str]]:
    return at_depths(dict.fromkeys(name for means in document[split].values() for name in means))


def _curve(document: Mapping[str, Any], split: str, measures: Mapping[int, str]) -> Numbers:
    known = {line.name: line.values for line in figures(document, split)}
    rows: list[list[Cell]] = []
    # without passages there is no depth
    for system in in_order(name for name in document[split] if name != CLOSED_BOOK):
        for depth, measure in measures.items():
            value: Value | None = known[measure].get(system)
            if value is not None:
                rows.append([depth, system, *value])
    return Numbers(["k", "system", "mean", "low", "high"], rows)


# The questions


@dataclass(frozen=True)
class Outcomes:
    """Which questions the tuned reranker has won.

    Args:
        measure: that decides.
        before: the system that it is set against; None where there is none.
    """

    measure: str
    before: str | None

    @classmethod
    def of(cls, document: Mapping[str, Any], split: str) -> Outcomes:
        """By the first measure that both have."""
        means = document[split]
        for before in BASELINES:
            shared = [name for name in means.get(TRAINED, {}) if name in means.get(before, {})]
            if shared:
                return cls(primary_of(shared), before)
        return cls("", None)

    def outcome(self, told: Mapping[str, Any]) -> str | None:
        """``won``, ``lost`` or ``tied``; None where one of the two has no number."""
        after, before = (self._value(told, system) for system in (TRAINED, self.before))
        if after is None or before is None:
            return None
        gain = (after - before) * (-1 if is_an_error(self.measure) else 1)
        if abs(gain) <= ROUNDING:
            return "tied"
        return "won" if gain > 0 else "lost"

    def _value(self, told: Mapping[str, Any], system: str | None) -> float | None:
        value: float | None = (told.get(system or "") or {}).get(self.measure)
        return value

    def said(self) -> Iterator[str]:
        if self.before is not None:
            yield f"questions: {TRAINED} against {self.before} in {self.measure}"


def _questions(
    told: Sequence[Mapping[str, Any]],
    document: Mapping[str, Any],
    split: str,
    outcomes: Outcomes,
    most: int,
) -> tuple[Numbers, str | None]:
    """The table, and what is said of what it lacks."""
    by_id = {row["question_id"]: row for row in told}
    of_each = {name: outcomes.outcome(row) for name, row in by_id.items()}
    flips = {name for name, outcome in of_each.items() if outcome in ("won", "lost")}
    kept = sampled(list(by_id), flips, most)
    parts = _parts(told, document, split)
    columns = ["id", "question", "golden answers", "outcome"]
    columns += [f"{system}: {key}" for system, keys in parts.items() for key in keys]
    rows = []
    for name in kept:
        row: list[Cell] = [plain(name), plain(by_id[name].get("question"))]
        row += [_listed(by_id[name].get("golden_answers")), of_each[name]]
        for system, keys in parts.items():
            part = by_id[name].get(system) or {}
            row += [_cell(key, part) for key in keys]
        rows.append(row)
    left_out = None
    if len(kept) < len(told):
        left_out = (
            f"questions: the table has {len(kept):,} of {len(told):,}: {len(flips & set(kept)):,} "
            f"of the {len(flips):,} that were won or lost, the others at random; "
            "predictions.jsonl has all"
        )
    return Numbers(columns, rows), left_out


def _parts(
    told: Sequence[Mapping[str, Any]], document: Mapping[str, Any], split: str
) -> dict[str, list[str]]:
    """What is shown of each system: its metrics, answers and first passages."""
    parts = {}
    for system in in_order(document[split]):
        keys = dict.fromkeys(key for row in told for key in (row.get(system) or {}))
        answers = [key for key in keys if re.fullmatch(r"(?:.*_)?answer(?:@\d+)?", key)]
        passages = [PASSAGES] if "passage_ids" in keys else []
        parts[system] = [*document[split][system], *answers, *passages]
    return parts


PASSAGES = f"first {FIRST} passages"


def _cell(key: str, part: Mapping[str, Any]) -> Cell:
    if key == PASSAGES:
        return _listed((part.get("passage_ids") or [])[:FIRST])
    value = part.get(key)
    return value if value is None or isinstance(value, int | float) else plain(value)


def _listed(texts: Sequence[str] | None) -> str | None:
    return None if texts is None else " | ".join(plain(text) or "" for text in texts)


def plain(text: str | None) -> str | None:
    """A text on one line, without what turns it or moves a cursor."""
    return None if text is None else unturned(CONTROLS.sub("?", squeezed(text)))
