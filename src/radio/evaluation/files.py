"""The files of an evaluation in a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radio.schema import InputError, Question

VERSION = 1
"""Of what an evaluation leaves in a run folder (docs/run-folder.md). A folder without a version is
of 0, from before versions were written."""


def check_results(folder: Path) -> None:
    """Refuse a folder whose results could not be added to, before anything is computed.

    Raises:
        InputError: ``metrics.json`` or ``predictions.jsonl`` is damaged.
    """
    for name in ("metrics.json", "predictions.jsonl"):
        path = folder / name
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: {_damaged('no file')}")
    read_metrics(folder / "metrics.json")
    for _ in read_predictions(folder / "predictions.jsonl"):
        pass


def read_metrics(path: Path) -> dict[str, Any]:
    """The document in ``metrics.json``, empty if there is none.

    Raises:
        InputError: it is damaged, or of a later version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_damaged(error)}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: {_damaged('no JSON object')}")
    version = version_of(document)
    if version not in range(VERSION + 1):
        raise InputError(
            f"{path}: found results of version {version!r}, expected {VERSION} at most: a later "
            "RADIO has written them; read them with that one"
        )
    return document


def version_of(document: Mapping[str, Any]) -> Any:
    """The version of a document from ``metrics.json``."""
    return document.get("version", 0)


def read_predictions(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of ``predictions.jsonl``, none if there is no such file.

    Raises:
        InputError: one is damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if not isinstance(row, dict) or "split" not in row:
                    raise InputError(f"{path}:{number}: {_damaged('no row of a question')}")
                yield row
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_damaged(error)}") from None


def described(question: Question) -> dict[str, Any]:
    """What ``predictions.jsonl`` says of a question itself."""
    facts: dict[str, Any] = {
        "question": question.question,
        "golden_answers": list(question.golden_answers),
    }
    if question.search:
        facts["search"] = question.search
    if question.choices:
        facts["choices"] = list(question.choices)
    if question.gold:
        facts["gold_ids"] = question.gold
    return facts


def _damaged(error: Exception | str) -> str:
    return f"not what radio wrote ({error}); results are added to this file: move it away first"
