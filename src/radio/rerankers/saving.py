"""Writing an exported folder in one step: complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from radio.disk import exchange, sync, sync_folder
from radio.rerankers import exports, finite, tuning

if TYPE_CHECKING:
    from radio.rerankers import Reranker


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into, which then takes the place of ``folder``; after an error it does not.

    A kill or a power cut at any moment leaves the old one or the new one, whole. (Where two folders
    cannot be exchanged in one step, a kill between two steps leaves the old one as ``.NAME.*.old``;
    the next command of a run puts it back.)
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = work.with_name(f"{work.name}.old")
    try:
        yield work
        work.chmod(0o755)
        for path in (*work.rglob("*"), work):
            sync(path)
        if not folder.exists():
            work.rename(folder)
        elif not exchange(work, folder):
            folder.rename(old)
            try:
                work.rename(folder)
            except OSError:
                old.rename(folder)
                raise
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
