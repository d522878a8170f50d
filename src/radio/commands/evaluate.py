"""What ``radio validate`` and ``radio test`` print, and ``radio fit`` at its end."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from radio.evaluation.files import read_metrics
from radio.evaluation.table import show_table


@rank_zero_only
def show_results(folder: Path, split: str) -> None:
    """Print the table of a split, if the run folder has numbers of it."""
    document = read_metrics(folder / "metrics.json")
    if split in document:
        show_table(document, split)
        print(f"run folder: {folder}")
