"""Figures of benchmarks: averages over runs, and p-values of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.figures import averaged, p_value, paired, values
from tests.comparing.runs import write_run
from tests.evaluation.test_statistics import scipys


def test_values_are_read_from_predictions_and_averaged_over_runs(tmp_path: Path) -> None:
    folders = []
    for run, em in enumerate((0.0, 1.0)):
        folder = write_run(tmp_path / str(run), {"tuned": {"em@1": [em]}}, split="validation")
        write_run(folder, {"tuned": {"em@1": [em, 1.0], "f1@1": [None, 0.5]}})
        folders.append(folder)
    assert values(folders, "tuned", "test", ["em@1", "f1@1"]) == {
        "em@1": {"q0": 0.5, "q1": 1.0},
        "f1@1": {"q1": 0.5},
    }
    assert values(folders, "tuned", "validation", ["f1@1"]) == {}
    assert averaged([{"m": {"q": 1.0}}, {"m": {"q": 0.0}}]) == {"m": {"q": 0.5}}


def test_p_values_are_scipys() -> None:
    rng = np.random.default_rng(0)
    ours, base = rng.random((2, 40)) < [[0.6], [0.4]]
    found = {"m": {f"q{n}": float(value) for n, value in enumerate(ours)}}
    against = {"m": {f"q{n}": float(value) for n, value in enumerate(base)}}
    pairs = paired(found, against, "m")
    assert p_value(pairs) == pytest.approx(scipys(ours.astype(float), base.astype(float)))


def test_a_question_that_one_system_lacks_is_no_pair() -> None:
    with pytest.raises(KeyError):
        paired({"m": {"q": 1.0}}, {"m": {}}, "m")
