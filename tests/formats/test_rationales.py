"""Rationales join by id, or by the text of their question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radio.formats import (
    read_rationales,
)
from radio.schema import InputError, Rationale
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


def test_a_row_may_hold_several_rationales(file: Callable[..., Path]) -> None:
    path = file('{"id": "q1", "rationale": "Ada did.", "others": [" She said so. ", "  "]}')
    found = read_rationales(path)[0]["q1"]
    assert found.texts == ("Ada did.", "She said so.")
    row = '{"id": "q1", "rationale": "Ada did.", "others": ["Bo said so."]}'
    with pytest.raises(InputError, match="a second, different rationale for 'q1'"):
        read_rationales(file(row, '{"id": "q1", "rationale": "Ada did."}'))
    with pytest.raises(InputError, match="key 'others': found a number in the list"):
        read_rationales(file('{"id": "q1", "rationale": "Ada did.", "others": [1]}'))
