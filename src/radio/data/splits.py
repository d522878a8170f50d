"""Splits that share no question: what is learnt from may not be what is measured on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray

from radio.mapped import Picked
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
    splits: Mapping[str, Sequence[Question]], overlapping: Literal["error", "drop"] = "error"
) -> dict[str, Sequence[Question]]:
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
    alike = _alike(splits)
    ids: dict[str, str] = {}
    asked: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
    result: dict[str, Sequence[Question]] = {}
    for split in reversed(list(splits)):
        left_out = set()
        for place in alike[split]:
            question = splits[split][place]
            if question.id in ids:
                raise InputError(
                    f"question id {question.id!r} stands twice, in {split} and in "
                    f"{ids[question.id]}: rationales and metrics are joined by id, so each id must "
                    "name one question of all splits"
                )
            ids[question.id] = split
            other, identifier = asked.setdefault(_text_of(question), (split, question.id))
            if other == split:
                continue
            if overlapping == "error":
                raise InputError(
                    f"the same question is in two splits: {question.id!r} in {split} and "
                    f"{identifier!r} in {other} ({question.question!r}); take it out of one of "
                    f"them, or out of {split} with --data.init_args.overlapping_questions drop"
                )
            left_out.add(place)
        result[split] = splits[split]
        if left_out:
            whole = len(splits[split])
            result[split] = Picked(splits[split], (n for n in range(whole) if n not in left_out))
            rank_zero_info(
                f"{split}: {len(left_out)} of {whole} questions are in a later split too; left out"
            )
    return result


def _text_of(question: Question) -> tuple[str, tuple[str, ...]]:
    """What two questions have in common that are the same."""
    return normalise_question(question.question), question.choices


def _alike(splits: Mapping[str, Sequence[Question]]) -> dict[str, list[int]]:
    """Places of the questions whose id or text another one seems to have too: few of a million,
    which are not compared as they are, but by hashes of eight bytes each."""
    ids: dict[str, NDArray[np.int64]] = {}
    texts: dict[str, NDArray[np.int64]] = {}
    for split, questions in splits.items():
        own, said = array("q"), array("q")
        for question in questions:
            own.append(hash(question.id))
            said.append(hash(_text_of(question)))
        ids[split], texts[split] = np.array(own), np.array(said)
    found = {}
    same_id, same_text = _repeated(ids), _repeated(texts)
    for split in splits:
        alike = np.isin(ids[split], same_id) | np.isin(texts[split], same_text)
        found[split] = np.flatnonzero(alike).tolist()
    return found


def _repeated(hashes: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Those that stand more than once, in whichever split."""
    together = np.sort(np.concatenate(list(hashes.values())))
    return np.unique(together[1:][together[1:] == together[:-1]])
