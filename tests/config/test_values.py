"""Values: numbers are numbers, dates and all else are text."""

from __future__ import annotations

from pathlib import Path

from tests.config.test_files import tree


def test_numbers_are_read_as_numbers_and_dates_as_text(tmp_path: Path) -> None:
    text = "a: 3e-5\nb: -1.5E+3\nc: 2024-01-01\nd: 1.2.3\ne: .inf\nf: 007a\n"
    found = tree(tmp_path / "a.yaml", text)
    assert found == {
        "a": 3e-5,
        "b": -1500.0,
        "c": "2024-01-01",
        "d": "1.2.3",
        "e": float("inf"),
        "f": "007a",
    }
