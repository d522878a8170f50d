"""Passages have a title and a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from radio.formats import (
    read_passages,
)


def test_passages_have_a_title_and_a_text(file: Callable[..., Path]) -> None:
    path = file(
        '{"id": "p1", "contents": "\\"Fog\\"\\nIt is grey.\\nAnd wet."}',
        '{"id": 2, "contents": "No title."}',
    )
    passages = read_passages(path)
    assert list(passages) == ["p1", "2"]
    assert (passages["p1"].title, passages["p1"].text) == ("Fog", "It is grey.\nAnd wet.")
    assert (passages["2"].title, passages["2"].text) == ("", "No title.")
