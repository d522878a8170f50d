"""The table: every system, what is tied or left out, and what is said of a run without a gain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.evaluation.results import gain_over_base
from radio.evaluation.table import no_better, show_table
from tests.evaluation.test_results import gains, results


def test_the_table_shows_every_system_and_the_difference_uncut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results().write(tmp_path)
    show_table(json.loads((tmp_path / "metrics.json").read_text()), "test")
    out = capsys.readouterr().out
    assert "20 questions" in out
    row = next(line for line in out.splitlines() if "em" in line.split())
    assert "0.0 [0.0, 0.0]" in row
    assert "50.0 [" in row
    assert "+25.0 [" in row
    assert "…" not in out


def test_the_table_says_what_is_not_in_fp32_and_of_how_many_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results()
    found.note("test", precision="bf16-true", of_questions=24, tied_tops={"base": 0, "tuned": 3})
    found.write(tmp_path)
    show_table(json.loads((tmp_path / "metrics.json").read_text()), "test")
    out = capsys.readouterr().out
    assert (
        "test: 20 of 24 questions, in % [95 % bootstrap interval], computed in bf16-true"
        in " ".join(out.split())
    )
    assert "ordered by passage id there: tuned 3 of 20 questions" in out
    assert "WARNING" not in out


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.2], None),
        (
            [0.0] * 4,
            "is no better than the base (nDCG@5 +0.0 [+0.0, +0.0] points, tuned - base, on 4 "
            "validation",
        ),
        ([-0.1, 0.05] * 5, "is no better than the base (nDCG@5 -2.5 ["),
        ([0.1, -0.05] * 5, "is not shown to be better than the base (nDCG@5 +2.5 ["),
    ],
)
def test_what_validation_does_not_show_to_be_better_is_said(
    values: list[float], expected: str | None
) -> None:
    found = no_better(gain_over_base(gains(values), "validation", "validation/nDCG@5"))
    assert found is None if expected is None else expected in str(found)
    if expected and "not shown" in expected:
        assert "the interval includes 0" in str(found)
