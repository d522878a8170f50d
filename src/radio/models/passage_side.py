"""Models whose question side was trained alone: whose passage embeddings serve for them too."""

from __future__ import annotations

import json
from pathlib import Path

from radio.fingerprints import fingerprint, path_fingerprint
from radio.lines import atomic_write
from radio.models.files import model_fingerprint, resolve_model, side_file
from radio.schema import InputError

PASSAGES = "passages.json"
"""In an exported folder: the model whose passage embeddings it shares."""


def note_passage_model(folder: Path, name: str, max_length: int) -> None:
    """Write into a folder whose question side was trained alone how it embeds passages."""
    note = {"model": name, "fingerprint": model_fingerprint(name), "max_length": max_length}
    with atomic_write(folder / PASSAGES) as file:
        json.dump({**note, "passage_side": _passage_side(folder)}, file)


def passage_model(name: str, max_length: int) -> str:
    """The model whose passage embeddings serve for this one too.

    That is itself, or what its question side was trained against.

    The latter if it is at hand, neither has changed, and ``max_length`` cuts passages alike.
    """
    folder = Path(resolve_model(name))
    note = side_file(name, PASSAGES) if folder.is_dir() else {}
    if not {"model", "fingerprint", "passage_side", "max_length"} <= set(note):
        return name
    try:
        same = (
            model_fingerprint(note["model"]) == note["fingerprint"]
            and _passage_side(folder) == note["passage_side"]
        )
    except InputError:
        same = False
    return str(note["model"]) if same and max_length <= note["max_length"] else name


def _passage_side(folder: Path) -> str:
    return fingerprint([path_fingerprint(part) for part in sorted(folder.glob("document_*"))])
