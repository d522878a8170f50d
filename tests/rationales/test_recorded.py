"""Recorded rationales join by text, or by an id if they are of its question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rationales import Recorded, Request
from radio.schema import InputError, Question, Rationale
from tests.conftest import write_jsonl

LAMP = Question("train_0", "Who lit the lamp?", ("Ada",))


QUESTIONS = [
    Question("q1", "Why do ships ring a bell in fog?", ("to warn others",)),
    Question("q2", "Who built the lighthouse?", ("Ada Quill",)),
    Question("q3", "What is bread made of?", ("flour",)),
]
ROWS: list[dict[str, Any]] = [
    {
        "id": "q1",
        "rationale": "Sound carries in fog.",
        "model": "m",
        "prompt": "f",
        "usage": {"output": 5},
    },
    {
        "question": "who built the LIGHTHOUSE",
        "golden_answers": ["Ada Quill"],
        "reason": "Ada Quill built it.",
    },
]


def recorded(folder: Path, *files: list[dict[str, Any]]) -> Recorded:
    paths = []
    for number, rows in enumerate(files):
        paths.append(folder / f"rationales-{number}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Recorded([str(path) for path in paths])


def written(writer: Recorded, questions: Sequence[Question]) -> list[Any]:
    return list(writer.write([Request(q.id, q) for q in questions], Cache("unused.sqlite")))


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


@pytest.mark.parametrize("split", [0, 1, 2])
def test_recorded_rationales_join_by_id_and_by_text(split: int, tmp_path: Path) -> None:
    writer = recorded(tmp_path, ROWS[:split], ROWS[split:])
    assert sorted(written(writer, QUESTIONS), key=lambda r: r.question_id) == [
        Rationale("q1", "Sound carries in fog.", "m", "f", {"output": 5}),
        Rationale("q2", "Ada Quill built it."),
    ]


def test_the_id_comes_before_the_text(tmp_path: Path) -> None:
    writer = recorded(tmp_path, [*ROWS, {"id": "q2", "rationale": "By id."}])
    assert [r.text for r in written(writer, QUESTIONS[1:2])] == ["By id."]


def test_a_question_of_another_id_and_text_gets_no_rationale(tmp_path: Path) -> None:
    assert written(recorded(tmp_path, ROWS), [Question("q9", "Why do ships ring a bell?")]) == []


def test_a_key_changes_only_for_the_row_that_changed(tmp_path: Path) -> None:
    before = [recorded(tmp_path, ROWS).key(q) for q in QUESTIONS]
    changed = [{**ROWS[0], "rationale": "A better reason."}, ROWS[1]]
    after = [recorded(tmp_path, changed).key(q) for q in QUESTIONS]
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, True, True]
    added = [*ROWS, {"id": "q3", "rationale": "Flour is the base."}]
    after = [recorded(tmp_path, added).key(q) for q in QUESTIONS]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, True, False]


def test_a_key_does_not_depend_on_the_file_that_holds_the_row(tmp_path: Path) -> None:
    one = recorded(tmp_path, ROWS)
    keys = [one.key(q) for q in QUESTIONS]
    (tmp_path / "else").mkdir()
    two = recorded(tmp_path / "else", ROWS[1:], ROWS[:1])
    assert [two.key(q) for q in QUESTIONS] == keys
    assert len(set(keys)) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    writer = Recorded(str(tmp_path / "gone.jsonl"))
    with pytest.raises(InputError, match=r"gone\.jsonl: no such file"):
        written(writer, QUESTIONS)


def test_the_hint_names_the_files_to_add_rows_to(tmp_path: Path) -> None:
    assert str(tmp_path / "rationales-1.jsonl") in recorded(tmp_path, ROWS, ROWS[:1]).hint()
