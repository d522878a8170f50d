"""``radio rationales report``: what the rationales of a split are worth, in numbers, in a file and
on one page."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio.commands import Split

if TYPE_CHECKING:
    from radio.data.module import RationaleDataModule
    from radio.encoders import Encoder
    from radio.rationales.report import Written
    from radio.teachers import Teacher

WRITES = ("rationales.json", "rationales.jsonl", "rationales.html")


def rationales_report(
    datamodule: RationaleDataModule, folder: Path, split: Split = "train", output: str | None = None
) -> None:
    """Show what the rationales of a split are worth.

    Args:
        split: whose rationales.
        output: folder for the page and the numbers; the run folder if not given.
    """
    from radio.runs.folder import mark_as_own

    target = Path(output) if output else folder
    mark_as_own(target, WRITES, "rationales_report")
    report(datamodule, [split], target)
    print(f"report: {target / 'rationales.html'}")


def report(
    datamodule: RationaleDataModule, splits: Sequence[str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Print a table, and write ``rationales.json``, ``rationales.jsonl`` (a row a question) and
    ``rationales.html``.

    Rationales that the data module's filters drop are counted like the others. Nothing is asked of
    a writer; an encoder or a judge computes what the cache lacks. Without an encoder of its own,
    the checks take the teacher's.

    Args:
        datamodule: whose candidates are in the cache.
        splits: of ``train``, ``validation``, ``test``.
        folder: where the files go.

    Returns:
        The numbers of each split, as in ``rationales.json``; a share of nothing is None.

    Raises:
        InputError: a split without questions, candidates that are not in the cache, or no use for
            rationales.
    """
    from radio.lines import atomic_write, write_jsonl
    from radio.rationales.page import page
    from radio.rationales.report import measure
    from radio.rationales.table import show_table

    numbers: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for split in splits:
        numbers[split], of_split = measure(_gathered(datamodule, split), datamodule.cache)
        rows += of_split
    with atomic_write(folder / "rationales.json") as file:
        json.dump(numbers, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_jsonl(folder / "rationales.jsonl", rows)
    with atomic_write(folder / "rationales.html") as file:
        file.write(page(numbers, rows))
    show_table(numbers)
    return numbers


def _gathered(datamodule: RationaleDataModule, split: str) -> Written:
    """The rationales of a split as the cache has them."""
    from radio.rationales.report import Written
    from radio.schema import InputError

    if datamodule.rationales is None or not datamodule.teacher.needs_rationale:
        raise InputError(
            "rationales report: found no use for rationales in this configuration, expected "
            "data.init_args.rationales and a teacher that needs them"
        )
    questions = datamodule.split_questions(split)
    if not questions:
        raise InputError(f"split: found {split!r}, expected one of the splits that have questions")
    preparation = datamodule.preparation
    rationales = preparation.written(split)
    checks, encoder_of = copy.copy(datamodule.rationale_checks), "rationale_checks"
    if checks.encoder is None:
        checks.encoder, encoder_of = _teacher_encoder(datamodule.teacher), "teacher"
    return Written(
        split,
        questions,
        rationales,
        preparation.to_check(split, rationales),
        datamodule.rationale_filters,
        checks,
        encoder_of,
    )


def _teacher_encoder(teacher: Teacher) -> Encoder | None:
    """The encoder of a teacher, or of a part of it, as in a blend."""
    from radio.encoders import Encoder
    from radio.teachers import with_parts

    for part in with_parts(teacher):
        encoder = getattr(part, "encoder", None)
        if isinstance(encoder, Encoder):
            return encoder
    return None
