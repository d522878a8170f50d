"""Writing an exported folder in one step: complete or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from radio.rerankers import exports, finite, tuning

if TYPE_CHECKING:
    from radio.rerankers.base import Reranker


def export(module: Reranker, folder: Path, card: str | None) -> Path:
    """Write a reranker beside its folder, then put it in its place: :meth:`Reranker.export`."""
    finite.check_weights(module, "nothing is exported")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    old = work.with_name(f"{work.name}.old")
    tuned = module.network
    try:
        if module.lora:
            module.network = tuning.without_lora(tuned)
        module.save(work)
        if exports.is_own(module):
            exports.complete(work, module.network)
        exports.write_note(work, module)
        if card is not None:
            (work / "README.md").write_text(card, encoding="utf-8")
        work.chmod(0o755)
        # the old one leaves in one step too: a kill at any moment leaves one of the two, whole
        if folder.exists():
            folder.rename(old)
        work.rename(folder)
    finally:
        module.network = tuned
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return folder
