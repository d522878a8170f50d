"""``radio rationales review``: a page on this machine where a person marks rationales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from radio.commands import Split

if TYPE_CHECKING:
    from radio.data.module import RationaleDataModule
    from radio.rationales.marks import ReviewCandidate, ReviewItem
    from radio.schema import Candidate, Passage, Question, Rationale


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
    from radio.rationales.review import review

    check("radio rationales review", {"port": port, "limit": limit})
    marks = Path(output) if output else folder / "reviews"
    review(review_items(datamodule, split)[:limit], marks, annotator, port)


def review_items(
    datamodule: RationaleDataModule,
    split: str,
    top_k: int = 5,
    checks: Sequence[str] | None = None,
) -> list[ReviewItem]:
    """The rationales of a split that the cache has, with the ``top_k`` best candidates and the
    teacher's scores.

    Rationales that fail the data module's filters are among them, since those are worth a look;
    such without any text (the model declined) are not. A teacher score that the cache lacks is
    None.

    Args:
        datamodule: prepared; no rationale is asked for.
        split: ``train``, ``validation`` or ``test``.
        top_k: candidates to show.
        checks: which checks to make; None makes all for which the data module's
            ``rationale_checks`` have a model.

    Raises:
        InputError: a split without questions, candidates that are not in the cache, or no rationale
            there.
    """
    from radio.schema import InputError

    if not datamodule.split_questions(split):
        raise InputError(f"split: found {split!r}, expected one of the splits that have questions")
    preparation = datamodule.preparation
    candidates = preparation.candidates(split)
    with_text = {}
    for identifier, rationale in preparation.written(split).items():
        if rationale.text.strip():
            with_text[identifier] = rationale
    if not with_text:
        raise InputError(
            f"{split}: found no rationale of its {len(candidates)} questions in "
            f"{datamodule.cache.path}, expected at least one to review; `radio prepare` with the "
            "same --config obtains them"
        )
    to_check = preparation.to_check(split, with_text)
    failed = datamodule.rationale_checks.run(to_check, datamodule.cache, checks)
    teacher = preparation.scores(split, with_text)
    items = []
    for question, rationale, passages in to_check:
        best = list(zip(candidates[question.id], passages, strict=True))[:top_k]
        shown = _shown_candidates(best, teacher.get(question.id, {}))
        items.append(_item(question, rationale, failed.get(question.id, ()), shown))
    return items


def _shown_candidates(
    best: Sequence[tuple[Candidate, Passage]], teacher: Mapping[str, float]
) -> list[ReviewCandidate]:
    """Candidates as the page shows them; ``teacher`` has scores by passage id."""
    from radio.rationales.marks import ReviewCandidate

    shown = []
    for candidate, passage in best:
        score = teacher.get(passage.id)
        shown.append(
            ReviewCandidate(passage.id, passage.title, passage.text, candidate.score, score)
        )
    return shown


def _item(
    question: Question,
    rationale: Rationale,
    failed: Sequence[str],
    candidates: Sequence[ReviewCandidate],
) -> ReviewItem:
    """What there is to see of one rationale."""
    from radio.rationales.marks import ReviewItem

    return ReviewItem(
        id=question.id,
        question=question.question,
        golden_answers=question.golden_answers,
        choices=question.choices,
        rationale=rationale.text,
        model=rationale.model,
        failed=tuple(failed),
        candidates=tuple(candidates),
    )
