"""What is wrong, or far from the usual, with what a dataset gives."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from radio import contracts
from radio.corpus import DiskCorpus
from radio.data.tables import Examples
from radio.rationales import RationaleWriter, summary
from radio.rationales.summary import Rationales
from radio.schema import Example, InputError, Missing, Passage, Question
from radio.text import choice_of


def check_names(key: str, found: Sequence[str], known: Sequence[str]) -> None:
    """Refuse names that there are not.

    Raises:
        InputError: names ``key``, what was found and what is expected.
    """
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise InputError(f"{key}: found {', '.join(unknown)}, expected some of {', '.join(known)}")


def by_id(
    data: object, passages: DiskCorpus | Iterable[Passage]
) -> DiskCorpus | dict[str, Passage]:
    """The corpus of a data module.

    Raises:
        InputError: it is empty, an id stands twice, or something is no passage.
    """
    if isinstance(passages, DiskCorpus):
        return passages
    corpus: dict[str, Passage] = {}
    for passage in contracts.passages(data, passages):
        if passage.id in corpus:
            raise InputError(f"{type(data).__name__}: passage id {passage.id!r} is a duplicate")
        corpus[passage.id] = passage
    if not corpus:
        raise InputError(f"{type(data).__name__}: the corpus is empty")
    return corpus


def check_questions(
    split: str,
    questions: Sequence[Question],
    corpus: Mapping[str, Passage],
    unknown_gold: Literal["error", "keep"],
) -> None:
    """What the questions of a split are measured by: annotated passages and golden answers."""
    check_gold(split, questions, corpus, unknown_gold)
    check_golden_answers(split, questions)


def check_gold(
    split: str,
    questions: Sequence[Question],
    corpus: Mapping[str, Passage],
    unknown_gold: Literal["error", "keep"],
) -> None:
    """Annotated passages that the corpus does not have cannot be found by any ranking.

    Raises:
        InputError: it has none of them, and ``unknown_gold`` is ``error``.
    """
    annotated, unknown = 0, []
    for one in questions:
        annotated += len(one.gold)
        unknown += [(one.id, passage) for passage in one.gold if passage not in corpus]
    if not unknown:
        return
    question, passage = unknown[0]
    message = (
        f"{split}: {len(unknown)} of {annotated} annotated passages (gold_ids) are not in the "
        f"corpus, such as {passage!r} of question {question!r}: no ranking can find them, and they "
        "count as missed"
    )
    if len(unknown) == annotated and unknown_gold == "error":
        raise InputError(
            f"{message}; are they ids of another corpus? Evaluate all the same with "
            "--data.init_args.unknown_gold keep"
        )
    rank_zero_warn(message)


def check_golden_answers(split: str, questions: Sequence[Question]) -> None:
    """Say which golden answers are none of their question's choices: no choice is right by them."""
    answers, unknown, lost = 0, [], 0
    for question in questions:
        choices = question.choices
        if not choices or not question.golden_answers:
            continue
        strange = [a for a in question.golden_answers if choice_of(a, choices) is None]
        answers += len(question.golden_answers)
        unknown += [(question, answer) for answer in strange]
        lost += len(strange) == len(question.golden_answers)
    if not unknown:
        return
    question, answer = unknown[0]
    rank_zero_warn(
        f"{split}: {len(unknown)} of {answers} golden answers are none of the choices, such as "
        f"{answer!r} of question {question.id!r} (choices {list(question.choices)}); questions "
        f"that have no other one, and count as wrong whatever is chosen: {lost}; expected the text "
        "of a choice, its letter, or its place from 0"
    )


def show_rationales(split: str, rationales: Rationales) -> None:
    """A line about the rationales of a split, and what is wrong with them at first sight."""
    numbers = summary.numbers(rationales)
    rank_zero_info(summary.line(split, numbers, rationales.left_out))
    for warning in summary.warnings(split, numbers):
        rank_zero_warn(warning)


def check_rationales(
    split: str,
    rationales: Rationales,
    writer: RationaleWriter | None,
    missing_rationales: Literal["error", "drop"],
) -> None:
    """Each question needs a rationale that counts, or is left out by choice.

    Raises:
        Missing: some have none and ``missing_rationales`` is ``error``, or none has one.
    """
    questions, kept = rationales.questions, rationales.kept
    lacking = [question.id for question in questions if question.id not in kept]
    if not lacking:
        return
    # what a filter of quality leaves out was counted by show_rationales, and is no reason to stop
    stops = rationales.missing and missing_rationales == "error"
    if stops or len(lacking) == len(questions):
        why, helps = summary.why_missing(rationales, writer)
        drop = "or train without them: --data.init_args.missing_rationales drop"
        raise Missing("rationale", split, lacking, len(questions), why, helps, drop)
    rank_zero_info(
        f"{split}: {len(lacking)} of {len(questions)} questions have no rationale and are not "
        "trained on"
    )


def warn_of_no_candidate(split: str, examples: Sequence[Example]) -> None:
    """Questions without candidates are kept: they count 0 in every metric."""
    empty = [example.question.id for example in examples if not example.candidates]
    if empty:
        rank_zero_warn(
            f"{split}: {len(empty)} of {len(examples)} questions have no candidate: {empty[:5]}"
        )


def trainable(
    examples: Examples,
    *,
    needs_rationale: bool,
    tied_questions: Literal["keep", "drop"],
    passages: int,
) -> Examples:
    """The training questions that have something to teach; what is left out is said.

    Args:
        examples: of all training questions.
        needs_rationale: whether the teacher does.
        tied_questions: whether those stay whose candidates the teacher scores all alike.
        passages: size of the corpus, for the message.

    Raises:
        InputError: there is none.
    """
    alone, taught, decided = [], array("q"), array("q")
    for number, example in enumerate(examples):
        if len(example.candidates) < 2:
            alone.append(example.question.id)
        elif example.teacher is not None:
            taught.append(number)
            if not _is_tied(example):
                decided.append(number)
    if alone:
        rank_zero_warn(
            f"train: {len(alone)} questions have fewer than 2 candidates, none to compare: "
            f"{alone[:5]}"
        )
    if not taught:
        need = (
            "a rationale and at least 2 candidates" if needs_rationale else "at least 2 candidates"
        )
        raise InputError(
            f"train: no question has {need}, nothing to train on (found {len(examples)} questions, "
            f"{len(alone)} of them with fewer than 2 candidates, and {passages} passages)"
        )
    if tied_questions == "keep":
        _warn_of_ties(len(taught) - len(decided), len(taught))
        return examples.only(taught)
    if not decided:
        raise InputError(
            "train: the teacher scores all candidates of every question alike, nothing to train on"
        )
    rank_zero_info(
        f"train: {len(taught) - len(decided)} of {len(examples)} questions have all candidates "
        "tied and are not trained on"
    )
    return examples.only(decided)


def _is_tied(example: Example) -> bool:
    """Whether the teacher scores all candidates alike."""
    return len(set((example.teacher or {}).values())) <= 1


def _warn_of_ties(tied: int, count: int) -> None:
    if 2 * tied > count:
        rank_zero_warn(
            f"train: the teacher scores all candidates alike for {tied} of {count} questions, "
            "which teaches no order (--data.init_args.tied_questions drop leaves them out): look "
            "at rationales, retriever and teacher"
        )
