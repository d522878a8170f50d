"""The orders between two teachers."""

from __future__ import annotations

import numpy as np
import pytest

from radio.evaluation.measure import order_of
from radio.evaluation.teachers.blending import WEIGHTS, blends
from tests.evaluation.teachers.comparing import run


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / np.ptp(values) if np.ptp(values) else np.full_like(values, 0.5)


def test_a_point_is_the_weighted_sum_of_both_normalised() -> None:
    first, second = run(1, levels=50), run(2, levels=3)
    found = blends(first, second, list(first))
    assert list(found) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for weight, blended in found.items():
        for question, scores in blended.items():
            ones = scaled(np.array([*first[question].values()]))
            others = scaled(np.array([second[question][name] for name in first[question]]))
            expected = weight * ones + (1 - weight) * others
            assert list(scores.values()) == pytest.approx(expected)


def test_the_ends_have_the_orders_of_the_two() -> None:
    first, second = run(3, levels=1000), run(4, levels=1000)
    found = blends(first, second, ["q1"])
    assert order_of(found[WEIGHTS[0]]["q1"]) == order_of(second["q1"])
    assert order_of(found[WEIGHTS[-1]]["q1"]) == order_of(first["q1"])


def test_the_scale_of_a_part_does_not_matter() -> None:
    first, second = run(1), run(2)
    larger = {q: {name: 40 * s - 3 for name, s in row.items()} for q, row in second.items()}
    for weight, blended in blends(first, larger, ["q0", "q1"]).items():
        for question, scores in blended.items():
            expected = blends(first, second, [question])[weight][question]
            assert scores == pytest.approx(expected)
