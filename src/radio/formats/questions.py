"""Questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radio.formats.fields import take, take_id, take_strings
from radio.lines import read_rows
from radio.schema import InputError, Question
from radio.text import choice_of_letter


def read_questions(path: str | Path, *, need_answers: bool = True) -> list[Question]:
    """Read questions: JSONL, a line as :func:`take_questions` reads it."""
    questions = take_questions(read_rows(Path(path)), need_answers=need_answers)
    if not questions:
        raise InputError(f"{path}: the file holds no question")
    return questions


def take_questions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], *, need_answers: bool = True
) -> list[Question]:
    """All questions of :func:`iter_questions`."""
    return list(iter_questions(rows, need_answers=need_answers))


def iter_questions(
    rows: Iterable[tuple[str, Mapping[str, Any]]], *, need_answers: bool = True
) -> Iterator[Question]:
    """Questions of rows, each with its place for messages.

    Rows are ``{"id", "question", "golden_answers", ["choices"], ["metadata"]}``.

    A multiple-choice row may give its answer as the 0-based index into ``choices`` (FlashRAG's
    convention), or as letters, where no choice is called so; questions have the texts.

    Raises:
        InputError: missing key, wrong type, empty answers (unless ``need_answers`` is off) or
            duplicate id.
    """
    seen: dict[str, str] = {}
    for place, row in rows:
        question = _take_question(row, place, need_answers)
        if question.id in seen:
            raise InputError(
                f"{place}: id {question.id!r} is a duplicate, first used at {seen[question.id]}"
            )
        seen[question.id] = place
        yield question


def _take_question(row: Mapping[str, Any], place: str, need_answers: bool) -> Question:
    identifier = take_id(row, place)
    text = take(row, place, "question", str).strip()
    if not text:
        raise InputError(f"{place}: key 'question' is empty, expected the text of the question")
    choices = take_strings(row, place, "choices")
    answers = _take_answers(row, place, choices, need_answers)
    if need_answers and not answers:
        raise InputError(
            f"{place}: key 'golden_answers' of question {identifier!r} is empty, expected at least "
            "one answer"
        )
    metadata = take(row, place, "metadata", dict, default={})
    return Question(identifier, text, answers, choices, metadata)


def _take_answers(
    row: Mapping[str, Any], place: str, choices: Sequence[str], needed: bool
) -> tuple[str, ...]:
    """The golden answers as texts, where they are letters of the choices or an index too."""
    index = row.get("golden_answers")
    if isinstance(index, list) and len(index) == 1:
        index = index[0]
    if choices and isinstance(index, int) and not isinstance(index, bool):
        if not 0 <= index < len(choices):
            raise InputError(
                f"{place}: key 'golden_answers': found index {index}, expected "
                f"0..{len(choices) - 1}"
            )
        return (choices[index],)
    if needed:
        take(row, place, "golden_answers", list)
    answers = take_strings(row, place, "golden_answers")
    given = [answer for answer in answers if answer.strip()]
    return tuple(choice_of_letter(answer, choices) or answer for answer in given)
