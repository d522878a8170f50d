"""What an evaluation prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.commands.evaluate import show_results
from radio.evaluation.results import Results


def test_a_split_that_has_numbers_is_shown_with_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results()
    results.add("test", "tuned", "q", {"em": 1.0})
    results.write(tmp_path)
    show_results(tmp_path, "test")
    shown = capsys.readouterr().out
    assert "em" in shown
    assert shown.endswith(f"run folder: {tmp_path}\n")
    show_results(tmp_path, "validation")
    assert capsys.readouterr().out == ""


def test_a_folder_without_numbers_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_results(tmp_path, "test")
    assert capsys.readouterr().out == ""
