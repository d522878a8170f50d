"""Rationales join by id, or by the text of their question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from radio.formats import (
    read_rationales,
)
from radio.schema import Rationale
from radio.text import normalise_question


def test_rationales_join_by_id_and_published_rows_by_text(file: Callable[..., Path]) -> None:
    path = file(
        '{"question_id": "q1", "rationale": " because ", "model": "m", "prompt": "f", "usage": '
        '{"out": 3}}',
        '{"id": 2, "rationale": "for a reason"}',
        '{"question": "Who, then, wrote it?", "golden_answers": ["Ada"], "reason": "Ada wrote '
        'it."}',
    )
    by_id, by_text = read_rationales(path)
    assert by_id == {
        "q1": Rationale("q1", "because", "m", "f", {"out": 3}),
        "2": Rationale("2", "for a reason"),
    }
    assert by_text == {normalise_question("who then WROTE it"): Rationale("", "Ada wrote it.")}


def test_the_same_rationale_twice_is_one(file: Callable[..., Path]) -> None:
    row = '{"question": "Who?", "golden_answers": ["Ada"], "reason": "Ada did."}'
    assert len(read_rationales(file(row, row))[1]) == 1
