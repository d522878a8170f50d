"""What ``radio diagnose`` has left in a run folder, as tables and plots for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio.comparing.reading import RunResults
from radio.reporting.diagnosis_tables import (
    Part,
    categories,
    memory,
    near,
    overlap,
    subsets,
    variants,
)
from radio.reporting.tables import signed

VERSION = 1
"""Of ``diagnose.json`` (docs/run-folder.md)."""

Document = Mapping[str, Any]

WITHOUT = "without suspicious ones"
"""The subset of the questions that nothing is suspicious of."""


class Group(NamedTuple):
    """The tables of one half of a diagnosis."""

    title: str
    about: str
    parts: Sequence[Part]


def diagnosed(document: Document) -> list[Group]:
    """All tables of a diagnosis; a test that was not made has none."""
    contamination = [
        overlap(document),
        near(document),
        memory(document),
        subsets(document),
        categories(document),
    ]
    robustness = [
        *variants(document, "order", "Order of the passages", "order"),
        *variants(document, "retrieval", "What the first k passages hold", "k"),
        *variants(document, "depth", "Passages that are read", "k"),
        *variants(
            document, "distractors", "Distractors, passages of other questions in between", "added"
        ),
    ]
    before, after = document["pair"]
    groups = [
        Group(
            "Contamination",
            "Which questions were seen before, and what the results are without them.",
            [part for part in contamination if part is not None],
        ),
        Group(
            "Robustness",
            f"Whether the gain of {after} over {before} survives when the same passages are read "
            "otherwise.",
            robustness,
        ),
    ]
    return [group for group in groups if group.parts]


def verdicts(document: Document) -> Iterator[str]:
    """What came of it, in a sentence for each half."""
    before, after = document["pair"]
    found = {row["name"]: row for row in document.get("results", {}).get("subsets", ())}
    if found:
        suspicious, whole = document["suspicious"], document["questions"]
        text = f"{suspicious:,} of {whole:,} {document['split']} questions are suspicious"
        gain = found[WITHOUT]["measures"][document["measure"]]["gain"]
        if suspicious and gain:
            text += (
                f"; without them {document['measure']}, {after} - {before}, is {_points(gain)} on "
                f"{gain['questions']:,} questions"
            )
        yield f"{text}."
    for test in ("order", "distractors"):
        for note in document.get(test, ()):
            gains = [row for row in note["measures"][note["metric"]] if row["gain"]]
            if not gains:
                continue
            name = f" of {note['generator']}" if note["generator"] else ""
            worst = min(gains, key=lambda row: row["gain"]["difference"])
            words = f"with the passages {worst['variant']}"
            if test == "distractors":
                several = "s" * (worst["variant"] != "1")
                words = f"with {worst['variant']} distractor{several}"
            yield (
                f"The gain in {note['metric']}{name} is smallest {words}: "
                f"{_points(worst['gain'])}; as in the run it is "
                f"{_points(_reference(note)['gain'])}."
            )


def _reference(note: Mapping[str, Any]) -> Mapping[str, Any]:
    rows: Sequence[Mapping[str, Any]] = note["measures"][note["metric"]]
    return next(row for row in rows if row["variant"] == note["reference"])


def _points(gain: Mapping[str, Any] | None) -> str:
    if gain is None:
        return "not known"
    low, high = signed(gain["low"]), signed(gain["high"])
    return f"{signed(gain['difference'])} [{low}, {high}] points"


def said(document: Document) -> Iterator[str]:
    """What else is to be known: verdicts, tests that could not be made, and what has changed."""
    yield from verdicts(document)
    for test, reason in document["unavailable"].items():
        yield f"{test}: not available: {reason}"
    for test, reason in document["failed"].items():
        yield f"WARNING: {test} failed: {reason}"
    yield from document["remarks"]


def read_diagnosis(run: RunResults, split: str) -> tuple[Document | None, str]:
    """The diagnosis in a run folder, if it is of the results there; and what to say where one is
    left out."""
    path = run.folder / "diagnose.json"
    document, reason = _read(path)
    if document is None:
        return None, reason
    again = f"; radio diagnose {run.folder} makes it again"
    if document.get("split") != split:
        return (
            None,
            f"{run.name}: its diagnosis is of {document.get('split')}, not of {split}{again}",
        )
    if document.get("results_digest") != results_digest(run, split):
        return None, f"{run.name}: its diagnosis is of earlier results{again}"
    return document, ""


def _read(path: Path) -> tuple[Document | None, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, RecursionError) as error:
        return None, f"{path}: not what radio diagnose wrote ({error}); it is left out"
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        return None, f"{path}: found version {version!r}, expected {VERSION}; it is left out"
    return document, ""


def results_digest(run: RunResults, split: str) -> str:
    """Of the orders, answers and numbers of a split, to know whether a diagnosis is of them."""
    digest = hashlib.sha256()
    for row in run.rows(split):
        told = {"question_id": row["question_id"]}
        for system, part in row.items():
            if system in run.document[split]:
                # how long an answer took says nothing of it
                told[system] = {k: v for k, v in part.items() if not isinstance(v, Mapping)}
        digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()[:32]
