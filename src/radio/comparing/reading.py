"""A run folder as others read it: its config, its means, and the numbers of each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from radio.evaluation.files import read_metrics, read_predictions, version_of
from radio.evaluation.systems import in_order
from radio.runs.folder import RunFolder
from radio.schema import InputError

ASKED: dict[str, Any] = {"question": "", "golden_answers": [], "choices": [], "gold_ids": {}}
"""What a row says of its question, and what it means where a row leaves it out."""


@dataclass(frozen=True)
class RunResults:
    """What a run folder (docs/run-folder.md) holds for others to read.

    Args:
        folder: of the run.
        name: of the folder, with as many of those above it as tell it from the other runs.
        document: ``metrics.json``.
        config: ``config.yaml``; empty if there is none.
        mark: of the folder; empty if there is none.
    """

    folder: Path
    name: str
    document: Mapping[str, Any]
    config: Mapping[str, Any]
    mark: Mapping[str, Any]

    @property
    def version(self) -> int:
        """Of the files; 0 if they are from before versions were written."""
        return int(version_of(self.document))

    @property
    def splits(self) -> list[str]:
        """Those that were evaluated."""
        return list(self.document.get("questions", {}))

    @property
    def seed(self) -> int | None:
        """Of the training."""
        return self.config.get("seed_everything")

    @property
    def unfinished(self) -> bool:
        """Whether its training has begun and not ended, so that the numbers are of some epoch."""
        return self.mark.get("command") == "fit" and not self.mark.get("finished")

    def note(self, key: str, split: str) -> Any:
        """One of :data:`radio.evaluation.results.NOTES`; None where there is none."""
        return self.document.get(key, {}).get(split)

    def generators(self, split: str) -> list[dict[str, Any]]:
        """Those that have read the rankings: name, class, settings, fingerprint, costs."""
        return self.note("generators", split) or []

    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        """Rows of ``predictions.jsonl``, one a question."""
        for row in read_predictions(self.folder / "predictions.jsonl"):
            if row["split"] == split:
                yield row


@dataclass(frozen=True)
class Values:
    """The numbers of one split of a run, question by question.

    Args:
        run: whose they are.
        split: its name.
        asked: by question id, in the order of the file, what is known of the question: those of
            :data:`ASKED` that the file tells.
        numbers: system -> measure -> values ``[questions]``, NaN where a question has none.
    """

    run: RunResults
    split: str
    asked: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, Mapping[str, NDArray[np.float64]]]


def read_runs(folders: Sequence[str | Path]) -> list[RunResults]:
    """The runs in these folders, in this order, each once.

    Raises:
        InputError: a folder holds no results, damaged ones, or those of a later version.
    """
    paths = list({Path(folder).resolve(): Path(folder) for folder in folders}.values())
    names = _names([path.resolve() for path in paths])
    return [_read(path, name) for path, name in zip(paths, names, strict=True)]


def _read(folder: Path, name: str) -> RunResults:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder (relative paths start at {Path.cwd()}); expected a run "
            "folder, as runs/NAME"
        )
    document = read_metrics(folder / "metrics.json")
    if not document.get("questions"):
        raise InputError(
            f"{folder}: holds no results (metrics.json); expected the folder of a run that was "
            "evaluated: radio fit, validate or test"
        )
    if not (folder / "predictions.jsonl").is_file():
        raise InputError(
            f"{folder}: predictions.jsonl is missing, which has the numbers of each question; "
            "evaluate the run again (radio validate, radio test)"
        )
    whole = folder.resolve()
    mark = RunFolder(whole.parent, whole.name).mark
    return RunResults(folder, name, document, _config(folder / "config.yaml"), mark or {})


def _config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    return config if isinstance(config, dict) else {}


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as it takes to tell all apart."""
    deepest = max((len(path.parts) for path in paths), default=1)
    for count in range(1, deepest + 1):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def read_values(run: RunResults, split: str) -> Values:
    """The numbers of all questions of a split.

    Raises:
        InputError: the run was not evaluated on this split, or its files do not fit each other.
    """
    if split not in run.splits:
        raise InputError(
            f"{run.folder}: found no results of {split}, expected one of those there are: "
            f"{', '.join(run.splits)}"
        )
    rows = list(run.rows(split))
    if not rows:
        raise InputError(
            f"{run.folder}: predictions.jsonl has no row of {split}, metrics.json has means of it; "
            "evaluate the run again"
        )
    try:
        asked = {row["question_id"]: asked_of(row) for row in rows}
        numbers = _numbers(run.document[split], rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{run.folder}: predictions.jsonl or metrics.json is not what radio wrote "
            f"({type(error).__name__}: {error}); evaluate the run again"
        ) from None
    if len(asked) < len(rows):
        raise InputError(
            f"{run.folder}: predictions.jsonl has {len(rows)} rows of {split}, but of "
            f"{len(asked)} questions; evaluate the run again"
        )
    return Values(run, split, asked, numbers)


def _numbers(
    means: Mapping[str, Mapping[str, float]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """By system and measure; what is a measure of a system is what has a mean."""
    numbers: dict[str, dict[str, NDArray[np.float64]]] = {}
    for system in in_order(means):
        # a question that this system does not rank has no part of it
        parts = [row.get(system, {}) for row in rows]
        numbers[system] = {}
        for measure in means[system]:
            column = [part.get(measure, np.nan) for part in parts]
            numbers[system][measure] = np.array(column, dtype=np.float64)
    return numbers


def asked_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of ``predictions.jsonl`` says of its question: keys of :data:`ASKED`.

    Version 0 has text and answers beside what a generator has read, and where there is no generator
    nothing.
    """
    if "question" in row:
        return {key: row.get(key, nothing) for key, nothing in ASKED.items()}
    for part in row.values():
        if isinstance(part, Mapping) and "question" in part:
            return {key: part[key] for key in ("question", "golden_answers")}
    return {}
