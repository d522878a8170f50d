"""Agreement of teachers and entropy of their targets, against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from radio.evaluation.teachers.agreement import agreement, target_entropy, tau_b


@pytest.mark.parametrize("levels", [2, 3, 50])
@pytest.mark.parametrize("passages", [2, 5, 20])
def test_tau_b_is_scipys(levels: int, passages: int) -> None:
    rng = np.random.default_rng(passages)
    for _ in range(20):
        scores = rng.integers(levels, size=(4, passages)) / levels
        found = tau_b(scores)
        for one in range(4):
            for other in range(4):
                expected = stats.kendalltau(scores[one], scores[other], variant="b").statistic
                assert found[one, other] == pytest.approx(expected, nan_ok=True)


def test_questions_where_it_is_not_defined_are_counted_and_left_out_of_the_mean() -> None:
    runs = {
        "up": {"q1": {"a": 0.1, "b": 0.2}, "q2": {"a": 0.1, "b": 0.2}, "q3": {"a": 0.0}},
        "down": {"q1": {"a": 0.2, "b": 0.1}, "q2": {"a": 0.5, "b": 0.5}, "q3": {"a": 1.0}},
        "flat": {name: dict.fromkeys(("a", "b"), 0.5) for name in ("q1", "q2", "q3")},
    }
    runs["flat"]["q3"] = {"a": 0.5}
    found = agreement(runs, ["q1", "q2", "q3"])
    assert found["tau_b"]["up"] == {"up": 1.0, "down": -1.0, "flat": None}
    # a single passage is no order, and tied ones are none either
    assert found["undefined"]["up"] == {"up": 1, "down": 2, "flat": 3}
    assert found["undefined"]["down"]["down"] == 2


def test_passages_are_compared_by_their_ids() -> None:
    one = {"q": {"a": 0.1, "b": 0.2, "c": 0.9}}
    other = {"q": {"c": 0.8, "a": 0.0, "b": 0.3}}
    assert agreement({"one": one, "other": other}, ["q"])["tau_b"]["one"]["other"] == 1.0


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0])
def test_entropy_is_scipys(temperature: float) -> None:
    scores = np.random.default_rng(0).random(20)
    expected = stats.entropy(special.softmax(scores / temperature))
    assert target_entropy(scores.tolist(), temperature) == pytest.approx(expected)


def test_entropy_of_the_ends() -> None:
    assert target_entropy([0.5] * 8, 0.1) == pytest.approx(math.log(8))
    assert target_entropy([1.0, 0.0, 0.0], 1e-3) == pytest.approx(0.0, abs=1e-12)
    assert target_entropy([0.7], 1.0) == 0.0


def test_scores_that_are_a_distribution_are_taken_as_they_are() -> None:
    scores = np.random.default_rng(1).random(9)
    expected = stats.entropy(scores / scores.sum())
    assert target_entropy(scores.tolist(), None) == pytest.approx(expected)
    assert target_entropy([0.0, 3.0, 0.0], None) == 0.0
    assert target_entropy([0.0, 0.0], None) is None
