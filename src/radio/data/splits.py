"""Splits that share no question: what is learnt from may not be what is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lightning.pytorch.utilities import rank_zero_info

from radio.schema import InputError, Question
from radio.text import normalise_question

TAUGHT = ("train", "validation", "test")
"""Splits that need answers and have teacher scores; ``predict`` needs neither."""


@dataclass(frozen=True)
class SplitCounts:
    """Questions of a split: all that it has, and those that are not used, by reason."""

    total: int
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        return self.total - sum(self.left_out.values())

    def __str__(self) -> str:
        if not self.left_out:
            return f"{self.used} questions"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"{self.used} of {self.total} questions ({reasons})"


def splits_of(
    stage: str | None, questions: Callable[[str], Sequence[Question]], data: str
) -> list[str]:
    """Splits a stage of Lightning works on; training prepares the test split too, so that it can
    not fail late.

    Args:
        stage: ``fit``, ``validate``, ``test``, ``predict``, or None for all.
        questions: gives those of a split.
        data: the data module's name, for messages.

    Raises:
        InputError: none of them has questions, or ``train`` has none where it is to be trained.
    """
    # predict takes the questions of the test split where there are none of its own
    of_stage = {"validate": ("validation",), "test": ("test",), "predict": ("predict", "test")}
    wanted = of_stage.get(stage or "", TAUGHT)
    found = [split for split in wanted if questions(split)]
    if stage == "fit" and "train" not in found:
        raise InputError(f"{data}: there are no training questions, nothing to train on")
    if not found:
        lacking = wanted[0] if stage else " or ".join(wanted)
        raise InputError(
            f"{data}: found no questions of the split {lacking}, expected some, as for example "
            f"--data.init_args.{wanted[0]} FILE gives them"
        )
    return found[:1] if stage == "predict" else found


def apart(
    splits: Mapping[str, list[Question]], overlapping: Literal["error", "drop"] = "error"
) -> dict[str, list[Question]]:
    """These splits, without the questions that a later one has too.

    Two questions are the same if their choices are, and their texts but for case, white space and
    the punctuation of sentences (:func:`radio.text.normalise_question`).

    Args:
        splits: questions by split, what is learnt from first.
        overlapping: ``error``, or ``drop`` the question from the earlier split.

    Raises:
        InputError: an id stands twice, or a question is in two splits and ``overlapping`` is
            ``error``.
    """
    ids: dict[str, str] = {}
    asked: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
    result: dict[str, list[Question]] = {}
    for split in reversed(list(splits)):
        kept = result[split] = []
        for question in splits[split]:
            if question.id in ids:
                raise InputError(
                    f"question id {question.id!r} stands twice, in {split} and in "
                    f"{ids[question.id]}: rationales and metrics are joined by id, so each id must "
                    "name one question of all splits"
                )
            ids[question.id] = split
            text = normalise_question(question.question), question.choices
            other, identifier = asked.setdefault(text, (split, question.id))
            if other == split:
                kept.append(question)
            elif overlapping == "error":
                raise InputError(
                    f"the same question is in two splits: {question.id!r} in {split} and "
                    f"{identifier!r} in {other} ({question.question!r}); take it out of one of "
                    f"them, or out of {split} with --data.init_args.overlapping_questions drop"
                )
        if len(kept) < len(splits[split]):
            count = len(splits[split]) - len(kept)
            rank_zero_info(
                f"{split}: {count} of {len(splits[split])} questions are in a later split too; "
                "left out"
            )
    return result
