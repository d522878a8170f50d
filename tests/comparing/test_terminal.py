"""The table on the terminal is never wider than it, and moves nobody's cursor."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.comparing.choosing import compare_runs
from radio.comparing.sheets import Sheet
from radio.comparing.terminal import fitting, lines, printable, show
from tests.comparing.runs import seeded

SHEET = Sheet(
    "title", ["name", "one", "two", "three"], [["a", "1.0", "2.0", "3.0"], ["b" * 9, "-", "", "x"]]
)


def test_columns_stand_below_each_other() -> None:
    assert lines(SHEET) == [
        "title",
        "name       one  two  three",
        "--------------------------",
        "a          1.0  2.0    3.0",
        "bbbbbbbbb    -           x",
    ]


def test_columns_that_do_not_fit_stand_in_a_further_table() -> None:
    assert [part.columns for part in fitting(SHEET, 26)] == [["name", "one", "two", "three"]]
    parts = fitting(SHEET, 25)
    assert [part.columns for part in parts] == [["name", "one", "two"], ["name", "three"]]
    assert [part.title for part in parts] == ["title", ""]
    assert parts[1].rows == [["a", "3.0"], ["b" * 9, "x"]]
    # narrower than any: a column each
    assert len(fitting(SHEET, 5)) == 3


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_wider_than_the_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    folders = seeded(tmp_path) + seeded(tmp_path, name="theirs", gain=0.1)
    show(compare_runs(folders, draws=200))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    assert "theirs:tuned" in out


def test_names_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\u202ec\nd") == "a?[31mb?c?d"
    sheet = Sheet("t\x07", ["n", "\x1b]0;x\x07"], [["\x1b[2J", "1"]])
    assert all(character.isprintable() for line in lines(sheet) for character in line)
