"""What an exported folder says of itself: the class that ranks with it, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radio.models.files import side_file
from radio.schema import InputError

NOTE = "radio.json"
"""In an exported folder: ``class``, ``radio`` (the version) and ``init_args``."""
EXPORT = "export"
"""Where in a run folder the best reranker of the run is."""


def class_name(kind: type[Any]) -> str:
    """The short name of a class of this package, the import path of any other."""
    own = kind.__module__.split(".")[0] == "radio"
    return kind.__name__ if own else f"{kind.__module__}.{kind.__qualname__}"


def exported(name: str) -> dict[str, Any]:
    """The note of an exported folder; empty if it is none.

    Raises:
        InputError: the note is damaged.
    """
    note = side_file(name, NOTE)
    settings = note.get("init_args", {})
    if note and not (isinstance(note.get("class"), str) and isinstance(settings, Mapping)):
        raise InputError(
            f"model {name!r}: {NOTE}: found {str(note)[:80]}, expected the keys 'class' (a name) "
            "and 'init_args' (an object); export the model again"
        )
    return note


def exported_class(name: str) -> str | None:
    """Name or import path of the class that made an exported folder; None if it is none."""
    return exported(name).get("class")


def export_of(name: str) -> str:
    """The exported folder that is meant: the one inside a run folder; any other name as it is.

    Raises:
        InputError: a run folder without an export.
    """
    folder = Path(name).expanduser()
    if (folder / EXPORT / NOTE).is_file():
        return str(folder / EXPORT)
    if (folder / ".radio").is_file():
        raise InputError(
            f"reranker {name!r}: found a run folder without {EXPORT}/, expected one with it; let "
            "the run end, with ExportHuggingFace among its callbacks"
        )
    return name
