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
from typing import Any

from radio.rationales.marks import ReviewCandidate, ReviewItem, Reviews
from radio.rationales.server import ReviewServer
from radio.schema import InputError


def review_items(
    datamodule: Any, split: str, top_k: int = 5, checks: Sequence[str] | None = None
) -> list[ReviewItem]:
    """The rationales of a split that the cache has, with the ``top_k`` best candidates and the
    teacher's scores.

    Rationales that fail the data module's filters are among them, since those are worth a look;
    such without any text (the model declined) are not. A teacher score that the cache lacks is
    None.

    Args:
        datamodule: a :class:`radio.data.module.RationaleDataModule`, prepared; no rationale is
            asked for.
        split: ``train``, ``validation`` or ``test``.
        top_k: candidates to show.
        checks: which checks to make; None makes all for which the data module's
            ``rationale_checks`` have a model.

    Raises:
        InputError: a split without questions, candidates that are not in the cache, or no rationale
            there.
    """
    if not datamodule.split_questions(split):
        raise InputError(f"split: found {split!r}, expected one of the splits that have questions")
    preparation = datamodule.preparation
    candidates = preparation.candidates(split)
    found = {
        identifier: rationale
        for identifier, rationale in preparation.written(split).items()
        if rationale.text.strip()
    }
    if not found:
        raise InputError(
            f"{split}: found no rationale of its {len(candidates)} questions in "
            f"{datamodule.cache.path}, expected at least one to review; `radio prepare` with the "
            "same --config obtains them"
        )
    rows = preparation.to_check(split, found)
    failed = datamodule.rationale_checks.run(rows, datamodule.cache, checks)
    teacher = preparation.scores(split, found)
    items = []
    for question, rationale, passages in rows:
        scores = teacher.get(question.id, {})
        shown = tuple(
            ReviewCandidate(
                passage.id, passage.title, passage.text, candidate.score, scores.get(passage.id)
            )
            for candidate, passage in zip(candidates[question.id][:top_k], passages, strict=False)
        )
        about = (question.id, question.question, question.golden_answers, question.choices)
        items.append(
            ReviewItem(
                *about, rationale.text, rationale.model, tuple(failed.get(question.id, ())), shown
            )
        )
    return items


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
