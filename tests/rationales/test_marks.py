"""Files of marks as editors and crashes leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.rationales.marks import Mark, read_marks
from radio.schema import InputError


def mark(note: str) -> bytes:
    row = {
        "id": "q1",
        "rationale": "f",
        "mark": "correct",
        "note": note,
        "annotator": "ada",
        "time": "t",
    }
    return json.dumps(row, ensure_ascii=False).encode()


@pytest.mark.parametrize("note", ["a\u2028b", "a\x85b", "plain"])
def test_marks_are_split_at_newlines_alone_and_take_a_byte_order_mark(
    note: str, tmp_path: Path
) -> None:
    path = tmp_path / "ada.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + mark(note) + b"\r\n" + mark(note) + b"\n")
    assert read_marks(path) == {("q1", "f"): Mark("correct", note, "t")}


@pytest.mark.parametrize("line", [b"[" * 200_000, b"\xff", b"9" * 5000, b"{}"])
def test_a_broken_mark_is_named_unless_a_crash_has_cut_it_off(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ada.jsonl"
    path.write_bytes(mark("one") + b"\n" + line + b"\n")
    with pytest.raises(InputError, match=r"ada\.jsonl:2: found"):
        read_marks(path)
    path.write_bytes(mark("one") + b"\n" + line)
    assert len(read_marks(path)) == 1
