"""Nearest neighbours: those of a loop over all pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radio.diagnosing import duplicates
from radio.diagnosing.duplicates import nearest, nearest_other, spread


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def test_the_nearest_is_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "TOGETHER", 7)
    rng = np.random.default_rng(0)
    mine = rng.normal(size=(20, 5)).astype(np.float32) * 9
    others = rng.normal(size=(13, 5)).astype(np.float32)
    others[4] = 3 * mine[11]
    found, among = nearest(mine, others), nearest_other(mine)
    for row in range(20):
        all_pairs = [cosine(mine[row], other) for other in others]
        assert found.places[row] == int(np.argmax(all_pairs))
        assert found.cosines[row] == pytest.approx(max(all_pairs), abs=1e-5)
        own = [cosine(mine[row], mine[n]) if n != row else -2.0 for n in range(20)]
        assert among.places[row] == int(np.argmax(own)) != row
        assert among.cosines[row] == pytest.approx(max(own), abs=1e-5)
    assert found.cosines[11] == pytest.approx(1.0)


def test_nothing_is_near_where_there_is_nothing() -> None:
    one = np.ones((1, 3), dtype=np.float32)
    empty = np.zeros((0, 3), dtype=np.float32)
    for found in (nearest(one, empty), nearest_other(one)):
        assert np.isnan(found.cosines).all()
        assert (found.places == -1).all()
    assert spread(np.array([np.nan])) == {"quantiles": {}, "bins": [], "counts": []}


def test_the_distribution_has_every_question_once() -> None:
    found = spread(np.array([0.31, 0.32, 0.6, 1.0, np.nan, 0.6499]))
    assert found["bins"] == pytest.approx(np.arange(0.3, 1.01, 0.05))
    assert found["counts"] == [2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert found["quantiles"]["1"] == 1.0  # type: ignore[index]
