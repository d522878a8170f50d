"""``radio rationales review``: a page on this machine where a person marks rationales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from radio.commands import Split

if TYPE_CHECKING:
    from radio.data.module import RationaleDataModule


def rationales_review(
    datamodule: RationaleDataModule,
    folder: Path,
    split: Split = "train",
    annotator: str = "me",
    port: int = 0,
    limit: int | None = None,
    output: str | None = None,
) -> None:
    """Serve the rationales of a split to a browser on this machine, to be marked by a person.

    Args:
        split: whose rationales.
        annotator: name of the person; the marks are in the file of that name.
        port: of the page; 0 takes a free one.
        limit: only the first n questions.
        output: folder of the marks; ``reviews`` in the run folder if not given.
    """
    from radio.ranges import check
    from radio.rationales.review import review, review_items

    check("radio rationales review", {"port": port, "limit": limit})
    marks = Path(output) if output else folder / "reviews"
    review(review_items(datamodule, split)[:limit], marks, annotator, port)
