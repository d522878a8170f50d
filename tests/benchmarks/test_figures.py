"""Figures of the results: averages over runs, and p-values and intervals of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.figures import (
    METRICS,
    Values,
    averaged,
    differences,
    paired,
    relative,
    table,
    values,
)
from radio.evaluation.statistics import bootstrap_interval
from tests.comparing.runs import write_run
from tests.evaluation.test_statistics import scipys


def made_up(seed: int) -> Values:
    rng = np.random.default_rng(seed)
    return {
        metric: {f"q{n}": float(value) for n, value in enumerate(rng.random(40) < 0.4 + seed / 10)}
        for metric in METRICS
    }


def test_values_are_read_from_predictions_and_averaged_over_runs(tmp_path: Path) -> None:
    folders = []
    for run, em in enumerate((0.0, 1.0)):
        folder = write_run(tmp_path / str(run), {"tuned": {"em@1": [em]}}, split="validation")
        write_run(folder, {"tuned": {"em@1": [em, 1.0], "f1@1": [None, 0.5]}})
        folders.append(folder)
    assert values(folders, "tuned", "test") == {
        "em@1": {"q0": 0.5, "q1": 1.0},
        "f1@1": {"q1": 0.5},
    }
    assert values(folders, "tuned", "validation", ["f1@1"]) == {}
    assert averaged([{"m": {"q": 1.0}}, {"m": {"q": 0.0}}]) == {"m": {"q": 0.5}}


def test_the_tables_show_bootstrap_intervals_and_scipys_p_values() -> None:
    measured = {"base": made_up(0), "ours": made_up(2)}
    ours, base = (np.array(list(measured[name]["em@1"].values())) for name in ("ours", "base"))
    low, high = bootstrap_interval(ours)
    cell = f"{100 * ours.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    assert cell in table(measured)[-1]
    low, high = bootstrap_interval(ours - base)
    cell = f"{100 * (ours - base).mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    assert f"{cell}, p = {scipys(ours, base):.4f}" in differences(["ours"], "base", measured)[-1]
    pairs = paired(measured["ours"], measured["base"], "em@1")
    assert relative(pairs).startswith(f"{100 * (ours.mean() / base.mean() - 1):+.1f} % [")
    assert relative(pairs).endswith(f"p = {scipys(ours, base):.4f}")


def test_a_question_that_one_system_lacks_is_no_pair() -> None:
    with pytest.raises(KeyError):
        paired({"m": {"q": 1.0}}, {"m": {}}, "m")
