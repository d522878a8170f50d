"""Writing an exported folder in one step: complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from radio.disk import sync, sync_folder
from radio.rerankers import exports, finite, tuning

if TYPE_CHECKING:
    from radio.rerankers import Reranker


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into, which then takes the place of ``folder``; after an error it does not.

    A kill or a power cut at any moment leaves the old one or the new one, whole.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = work.with_name(f"{work.name}.old")
    try:
        yield work
        work.chmod(0o755)
        for path in (*work.rglob("*"), work):
            sync(path)
        # the old one leaves in one step too
        if folder.exists():
            folder.rename(old)
        work.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def export(module: Reranker, folder: Path, card: str | None) -> Path:
    """Write a reranker beside its folder, then put it in its place: :meth:`Reranker.export`."""
    finite.check_weights(module, "nothing is exported")
    tuned = module.network
    try:
        with replaced(folder) as work:
            if module.lora:
                module.network = tuning.without_lora(tuned)
            module.save(work)
            if exports.is_own(module):
                exports.complete(work, module.network)
            exports.write_note(work, module)
            if card is not None:
                (work / "README.md").write_text(card, encoding="utf-8")
    finally:
        module.network = tuned
    return folder
