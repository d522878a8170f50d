"""``radio rationales report``: what the rationales of a split are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from radio.commands import Split

if TYPE_CHECKING:
    from radio.data.module import RationaleDataModule

WRITES = ("rationales.json", "rationales.jsonl", "rationales.html")


def rationales_report(
    datamodule: RationaleDataModule, folder: Path, split: Split = "train", output: str | None = None
) -> None:
    """Show what the rationales of a split are worth.

    Args:
        split: whose rationales.
        output: folder for the page and the numbers; the run folder if not given.
    """
    from radio.rationales.report import report
    from radio.runs.folder import mark_as_own

    target = Path(output) if output else folder
    mark_as_own(target, WRITES, "rationales_report")
    report(datamodule, [split], target)
    print(f"report: {target / 'rationales.html'}")
