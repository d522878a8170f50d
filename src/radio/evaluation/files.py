"""The files of an evaluation in a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radio.schema import InputError


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
        InputError: it is damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_damaged(error)}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: {_damaged('no JSON object')}")
    return document


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


def _damaged(error: Exception | str) -> str:
    return f"not what radio wrote ({error}); results are added to this file: move it away first"
