"""``radio rationales review``: a local web page where people read rationales and mark what they are
worth.

Marks go to ``FOLDER/ANNOTATOR.jsonl``, one row a change, on disk before the page hears that it is
saved. Several people use the same folder, each under their own name; the page shows how far they
agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from radio.rationales.marks import ReviewItem, Reviews
from radio.rationales.server import ReviewServer
from radio.schema import InputError


def review(
    items: Sequence[ReviewItem],
    folder: Path,
    annotator: str,
    port: int = 0,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        items: what to review, in order; ids must differ.
        folder: where the marks of all annotators are kept.
        annotator: the reviewer's name, that of the file of marks.
        port: of 127.0.0.1; 0 takes a free one.
        ready: called with the address of the page once it can be opened.

    Raises:
        InputError: the name, the port or the folder cannot be used, or a file of marks is damaged.
    """
    if not items:
        raise InputError("review: found no rationale, expected at least one")
    reviews = Reviews(folder, annotator)
    try:
        reviews.everyone()  # a damaged file of somebody else shows now rather than in the middle
        with ReviewServer(items, reviews, port) as server:
            with suppress(KeyboardInterrupt):
                print(f"review: {server.url}  (Ctrl-C ends; marks: {reviews.path})", flush=True)
                if ready is not None:
                    ready(server.url)
                server.serve_forever()
            marked = sum(server.own(item).mark is not None for item in items)
            print(f"\nreview: {marked} of {len(items)} marked: {reviews.path}", flush=True)
    finally:
        reviews.close()
