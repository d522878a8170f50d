"""Where points, intervals and names of plots stand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from radio.comparing.reading import RunResults
from radio.reporting.plots import (
    HEIGHT,
    LINE,
    WIDTH,
    colours,
    curves_by_depth,
    forest,
    logged,
    steps_between,
    training_curves,
)
from radio.schema import InputError
from tests.reporting.runs import compared, told_run


def run_in(folder: Path, name: str = "run") -> RunResults:
    return RunResults(folder, name, {}, {}, {})


@pytest.mark.parametrize(
    ("low", "high", "steps"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.21, 0.39, [0.2, 0.25, 0.3, 0.35, 0.4]),
        (-0.013, 0.052, [-0.02, 0, 0.02, 0.04, 0.06]),
        (0.5, 0.5, [0.4, 0.6]),
        (0, 0, [0]),
        (0, 90, [0, 25, 50, 75, 100]),
    ],
)
def test_axes_have_few_round_numbers(low: float, high: float, steps: list[float]) -> None:
    found = steps_between(low, high)
    assert len(found) <= 5
    assert found[0] <= low
    assert found[-1] >= high
    if low != high:
        assert found == steps


def test_intervals_stand_on_one_scale() -> None:
    placed = forest({"a": (-0.1, 0.0, 0.1), "b": (0.05, 0.1, 0.15), "c": (math.nan,) * 3})
    assert list(placed.cells) == ["a", "b"]
    assert placed.cells["a"][1] == placed.zero
    assert placed.cells["a"][2] == placed.cells["b"][1]
    assert [tick.label for tick in placed.ticks] == ["-10", "0", "+10", "+20"]
    assert all(0 <= tick.at <= 200 for tick in placed.ticks)


def test_a_curve_for_each_measure_of_several_depths(tmp_path: Path) -> None:
    comparison = compared(told_run(tmp_path / "run"))
    charts = curves_by_depth(comparison, colours(comparison.rows))
    assert [chart.title for chart in charts] == ["em", "answer_in_context"]
    em = charts[0]
    assert [tick.label for tick in em.x_ticks] == ["1", "3"]
    assert {line.name: line.colour for line in em.lines} == {"base": "base", "tuned": "tuned"}
    assert "tuned ends at 87.5" in em.about
    for line in em.lines:
        for point in line.points:
            assert 0 < point.x < WIDTH
            assert point.high is not None
            assert point.low is not None
            assert 0 < point.high <= point.y <= point.low < HEIGHT
    first, second = em.lines
    assert second.label - first.label >= LINE


def test_losses_of_all_runs_by_step(tmp_path: Path) -> None:
    text = "step,train/loss,test/em@1\n9,0.5,\n19,0.25,0.1\n29,,0.2\n"
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(text, encoding="utf-8")
        runs.append(run_in(tmp_path / name, name))
    loss, measure = training_curves(runs, "test", "em@1")
    assert [line.name for line in loss.lines] == ["a", "b"]
    assert "a ends at 0.25" in loss.about
    assert "b ends at 20.0" in measure.about
    (alone, _) = training_curves(runs[:1], "test", "em@1")
    assert [line.name for line in alone.lines] == ["tuned"]
    assert training_curves(runs, "validation", "f1")[0].title == "training loss"


def test_long_trainings_are_thinned(tmp_path: Path) -> None:
    rows = "".join(f"{step},{step % 2}\n" for step in range(5000))
    (tmp_path / "metrics.csv").write_text(f"step,train/loss\n{rows}", encoding="utf-8")
    (chart,) = training_curves([run_in(tmp_path)], "test", "em")
    assert 100 < len(chart.lines[0].path.split()) <= 300
    assert not chart.lines[0].points


def test_a_damaged_log_is_refused_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert logged(run_in(tmp_path), "train/loss") == []
    (tmp_path / "metrics.csv").write_text("step,train/loss\n1,many\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics\.csv: not what radio wrote"):
        logged(run_in(tmp_path), "train/loss")
