"""Rationales that were written elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radio.formats.fields import take, take_id, take_strings
from radio.lines import read_rows
from radio.schema import InputError, Rationale
from radio.text import normalise_question


def read_rationales(path: str | Path) -> tuple[dict[str, Rationale], dict[str, Rationale]]:
    """Read rationales by question id, and by question text for rows that carry no id.

    Rows are ``{"id" or "question_id", "rationale"}``, optionally with ``"model"``, ``"prompt"``,
    ``"usage"``, ``"outcome"`` and ``"others"`` (the texts of further rationales); the published
    rows ``{"question", "golden_answers", "reason"}`` have no id and join by
    :func:`radio.text.normalise_question`.

    Raises:
        InputError: broken line, missing key, wrong type, empty text or a duplicate.
    """
    by_id, by_text = read_rationale_files([path])
    return {key: row.rationale for key, row in by_id.items()}, {
        key: row.rationale for key, row in by_text.items()
    }


@dataclass(frozen=True, slots=True)
class RationaleRow:
    """A rationale, its place ``file:line``, and the question that the file says it is of."""

    rationale: Rationale
    place: str
    question: str | None = None


def read_rationale_files(
    paths: Iterable[str | Path],
) -> tuple[dict[str, RationaleRow], dict[str, RationaleRow]]:
    """Read rationales of several files, as :func:`read_rationales` does of one.

    Raises:
        InputError: as there; two rows of these files contradict each other.
    """
    by_id: dict[str, RationaleRow] = {}
    by_text: dict[str, RationaleRow] = {}
    for path in paths:
        for place, row in read_rows(Path(path)):
            found = _take_rationale(row, place)
            if found.rationale.question_id:
                _add_rationale(by_id, found.rationale.question_id, found)
            else:
                _add_rationale(by_text, normalise_question(found.question or ""), found)
    return by_id, by_text


def _take_rationale(row: Mapping[str, Any], place: str) -> RationaleRow:
    key = "reason" if "reason" in row and "rationale" not in row else "rationale"
    text = take(row, place, key, str).strip()
    model = take(row, place, "model", str, default="recorded")
    prompt = take(row, place, "prompt", str, default="")
    usage = take(row, place, "usage", dict, default={})
    outcome = take(row, place, "outcome", str, default="written")
    others = tuple(filter(None, map(str.strip, take_strings(row, place, "others"))))
    if not text and outcome == "written":
        raise InputError(f"{place}: key {key!r} is empty, expected the rationale")
    named = [name for name in ("question_id", "id") if name in row]
    identifier = take_id(row, place, named[0]) if named else ""
    question = take(row, place, "question", str, default=None if named else ...)
    rationale = Rationale(identifier, text, model, prompt, usage, outcome, others=others)
    return RationaleRow(rationale, place, question)


def _add_rationale(table: dict[str, RationaleRow], key: str, row: RationaleRow) -> None:
    """Add a row to those of other questions; one that says the same again adds nothing."""
    first = table.setdefault(key, row)
    if first.rationale.texts != row.rationale.texts:
        raise InputError(
            f"{row.place}: a second, different rationale for {key!r}, the first is at "
            f"{first.place}; expected one a question"
        )
    texts = [
        normalise_question(found.question) for found in (first, row) if found.question is not None
    ]
    if len(set(texts)) > 1:
        raise InputError(
            f"{row.place}: the id {key!r} is of the question {row.question!r} here, and of "
            f"{first.question!r} at {first.place}; leave the ids out of these files, and their "
            "rows join by the text of the question"
        )
    if first.question is None:
        table[key] = row
