"""What ``radio compare`` finds in runs: its tables, and its numbers. There is no other statistic
here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results.settings import WORK
from benchmarks.runs import radio
from radio.comparing.sheets import interval

MEASURES = (
    "em@1",
    "f1@1",
    "em@3",
    "em@5",
    "f1@5",
    "answer_in_context@1",
    "nDCG@5",
    "gold_nDCG@5",
    "gold_P@1",
)
"""What the tables have, the first one at their head; of those that the runs have."""

NONE = "-"

Found = Mapping[str, Any]
"""A comparison as ``radio compare --output FILE.json`` has it."""


def compare(
    name: str,
    groups: Mapping[str, Sequence[Path]],
    split: str,
    *,
    baseline: str,
    systems: Sequence[str],
    measures: Sequence[str] = MEASURES,
) -> tuple[list[str], Found]:
    """The tables of a comparison as lines of Markdown, and all its numbers.

    Args:
        name: of the files that are written.
        groups: run folders by the name of their group, one for each seed.
        split: of the questions.
        baseline: ``SYSTEM`` or ``GROUP:SYSTEM``.
        systems: the others, likewise.
        measures: those that the runs lack are left out.
    """
    known = measures_of([folder for folders in groups.values() for folder in folders], split)
    wanted = [measure for measure in measures if measure in known]
    files = [WORK / "compared" / f"{name}.{ending}" for ending in ("md", "json")]
    words = ["compare"]
    for group, folders in groups.items():
        words += ["--group", f"{group}={','.join(map(str, folders))}"]
    words += ["--split", split, "--baseline", baseline, "--systems", ",".join(systems)]
    words += ["--measure", wanted[0], "--measures", ",".join(wanted)]
    for file in files:
        words += ["--output", str(file)]
    radio(*words)
    table, document = (file.read_text(encoding="utf-8") for file in files)
    return table.splitlines(), json.loads(document)


def measures_of(folders: Sequence[Path], split: str) -> set[str]:
    """Those that some system of a run has."""
    known: set[str] = set()
    for folder in folders:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        for means in document[split].values():
            known |= means.keys()
    return known


def tables_alone(lines: Sequence[str]) -> list[str]:
    """The tables without what is to be known of them, where it was said before."""
    return [line for line in lines if not line.startswith("- ")]


def mean(found: Found, measure: str, system: str) -> str:
    """With its interval, in percent."""
    numbers = found["means"].get(measure, {}).get(system)
    return interval(*_numbers(numbers, "mean")) if numbers else NONE


def gain(found: Found, measure: str, system: str) -> str:
    """Difference to the baseline with its interval, in percent."""
    numbers = found["differences"].get(measure, {}).get(system)
    return interval(*_numbers(numbers, "difference"), "+") if numbers else NONE


def _numbers(numbers: Mapping[str, float], name: str) -> tuple[float, float, float]:
    return numbers[name], numbers["low"], numbers["high"]


def row_of(found: Found, group: str, system: str) -> str:
    """Name of the row that a system of a group has."""
    for name, row in found["systems"].items():
        if row["system"] == system and group in row["groups"]:
            return str(name)
    raise KeyError((group, system))
