"""The simulations of docs/comparing.md have no better system, and see what is wrong where there
is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import comparing


def shares(line: str) -> list[float]:
    return [float(cell.removesuffix(" %")) for cell in line.split(" | ")]


def test_trainings_that_differ_are_rejected_more_often_and_marked_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparing, "SIMULATED", 80)
    between, rejected, _, holm, _, marked = shares(comparing.simulated(300, 2, 0.0))
    assert between == 0
    assert rejected <= 15
    assert marked <= holm
    between, more, any_of_four, holm, _, marked = shares(comparing.simulated(300, 2, 0.5))
    assert between > 2
    assert more > 25
    assert marked <= holm <= any_of_four


def test_no_system_is_better_in_the_long_run() -> None:
    chance = comparing.chances(np.random.default_rng(0), 2, 3000, 20, 0.3)
    first, second = chance.mean(axis=(1, 2))
    assert first == pytest.approx(second, abs=0.01)


def test_the_large_comparison_is_as_large_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "QUESTIONS", 50)
    rows = comparing.large(3)
    assert len(rows) == comparing.SYSTEMS
    for row in rows:
        assert len(row.columns) == comparing.MEASURES
        assert {column.shape for column in row.columns.values()} == {(3, 50)}
