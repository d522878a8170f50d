"""Recorded rationales join by an id only if they are of its question; files do not contradict each
other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rationales import Recorded, Request
from radio.schema import InputError, Question
from tests.conftest import write_jsonl

LAMP = Question("train_0", "Who lit the lamp?", ("Ada",))


def texts(folder: Path, *files: list[dict[str, Any]], question: Question = LAMP) -> list[str]:
    paths = [
        str(write_jsonl(folder / f"{number}.jsonl", rows)) for number, rows in enumerate(files)
    ]
    found = Recorded(paths).write([Request("", question)], Cache(folder / "unused.sqlite"))
    return [rationale.text for rationale in found]


def row(question: str | None, text: str = "Ada was the keeper.", **other: Any) -> dict[str, Any]:
    return {
        "id": "train_0",
        "rationale": text,
        **({"question": question} if question else {}),
        **other,
    }


@pytest.mark.parametrize("question", [None, "Who lit the lamp?", "who lit the  LAMP"])
def test_a_row_of_the_same_question_joins_by_id(question: str | None, tmp_path: Path) -> None:
    assert texts(tmp_path, [row(question)]) == ["Ada was the keeper."]


def test_a_row_of_the_claim_that_a_dataset_asks_about_joins_by_id(tmp_path: Path) -> None:
    claim = "Ada lit the lamp."
    asked = Question(
        "train_0", f'Does the evidence support the claim "{claim}"?', ("SUPPORTS",), search=claim
    )
    assert texts(tmp_path, [row(claim)], question=asked) == ["Ada was the keeper."]


def test_a_row_of_another_question_with_the_same_id_is_an_error_that_shows_both(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as caught:
        texts(tmp_path, [row("What is bread made of?")])
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/0.jsonl:1: id 'train_0'")
    for part in (
        "'What is bread made of?'",
        "'Who lit the lamp?'",
        "leave 'id' out",
        "or 'question'",
    ):
        assert part in message


def test_what_the_message_says_helps(tmp_path: Path) -> None:
    rows = [
        {"question": "What is bread made of?", "rationale": "Flour."},
        {"question": "Who lit the lamp?", "rationale": "Ada."},
    ]
    assert texts(tmp_path, rows) == ["Ada."]
    assert texts(tmp_path, [row(None, "Flour.")]) == ["Flour."]


def test_rows_of_questions_that_are_not_in_the_data_are_left_alone(tmp_path: Path) -> None:
    other = {"id": "train_1", "question": "Anything?", "rationale": "Because."}
    assert texts(tmp_path, [other, row("Who lit the lamp?")]) == ["Ada was the keeper."]


BY_TEXT = {"question": "Who lit the lamp?", "reason": "Ada was the keeper."}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            row(None),
            row(None, "Bo did."),
            "a second, different rationale for 'train_0', the first is at {first}:1",
        ),
        (
            row(None),
            {"question_id": "train_0", "rationale": "Bo."},
            "a second, different rationale for 'train_0'",
        ),
        (
            BY_TEXT,
            {**BY_TEXT, "reason": "Bo did."},
            "a second, different rationale for 'who lit the lamp'",
        ),
        (
            row("Who lit the lamp?", "It is so."),
            row("Who rang the bell?", "It is so."),
            "the id 'train_0' is of the question 'Who rang the bell?' here, and of 'Who lit the "
            "lamp?' at {first}:1",
        ),
    ],
)
@pytest.mark.parametrize("files", [1, 2])
def test_rows_that_contradict_each_other_are_an_error_within_a_file_and_across_files(
    files: int, first: dict[str, Any], second: dict[str, Any], message: str, tmp_path: Path
) -> None:
    place = tmp_path / "0.jsonl"
    with pytest.raises(InputError) as caught:
        texts(tmp_path, *([[first, second]] if files == 1 else [[first], [second]]))
    assert message.format(first=place) in str(caught.value)
    assert str(caught.value).startswith(f"{place}:2: " if files == 1 else f"{tmp_path}/1.jsonl:1: ")


@pytest.mark.parametrize("files", [1, 2])
def test_the_same_row_twice_is_no_contradiction(files: int, tmp_path: Path) -> None:
    rows = [row(None), row("Who lit the lamp?")]
    assert texts(tmp_path, *([rows] if files == 1 else [[part] for part in rows])) == [
        "Ada was the keeper."
    ]


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="paths: found no file, expected one or several"):
        Recorded([])
