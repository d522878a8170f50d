"""Means and gains are those of the evaluation's statistics."""

from __future__ import annotations

import random

import pytest

from radio.diagnosing.gains import changes, gains, measured
from radio.evaluation.statistics import (
    bootstrap_interval,
    holm,
    paired_difference,
    paired_differences,
    sign_flip_test,
)

PAIR = ("base", "tuned")


def column(seed: int, count: int = 40, share: float = 0.5) -> dict[str, float]:
    rng = random.Random(seed)
    return {f"q{n}": float(rng.random() < share) for n in range(count)}


def test_each_number_is_that_of_the_statistics() -> None:
    tables = [
        {"base": column(0), "tuned": column(1, share=0.8)},
        {"base": column(2), "tuned": column(3, count=30), "retriever": column(4)},
        {"base": column(5), "tuned": {}},
    ]
    found = measured(tables, PAIR)
    p_values = []
    for table, numbers in zip(tables[:2], found, strict=False):
        for system, values in table.items():
            told = numbers["systems"][system]
            assert told["mean"] == pytest.approx(sum(values.values()) / len(values))
            low, high = bootstrap_interval(list(values.values()))
            assert (told["low"], told["high"]) == pytest.approx((low, high))
        gain = numbers["gain"]
        paired = paired_difference(table["tuned"], table["base"])
        assert paired is not None
        known = (gain["difference"], gain["low"], gain["high"])
        assert known == pytest.approx(paired[:3])
        differences = paired_differences(table["tuned"], table["base"])
        assert gain["questions"] == len(differences) == len(table["tuned"])
        assert gain["won"] - gain["lost"] == sum(differences)
        assert gain["p"] == pytest.approx(sign_flip_test(differences))
        p_values.append(gain["p"])
    # the one without questions in common is none of the family
    assert [row["gain"]["p_holm"] for row in found[:2]] == pytest.approx(holm(p_values))
    assert [row["gain"]["family"] for row in found[:2]] == [2, 2]
    assert found[2]["gain"] is None
    assert found[2]["systems"].keys() == {"base"}


def test_a_change_is_that_of_the_gains_question_by_question() -> None:
    reference = {"base": column(0), "tuned": column(1)}
    other = {"base": column(2), "tuned": column(3, count=30)}
    same, moved = changes([reference, other], reference, PAIR)
    assert same is not None
    assert moved is not None
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    expected = [
        (other["tuned"][name] - other["base"][name])
        - (reference["tuned"][name] - reference["base"][name])
        for name in other["tuned"]
    ]
    assert moved["difference"] == pytest.approx(sum(expected) / 30)
    assert (moved["low"], moved["high"]) == pytest.approx(bootstrap_interval(expected))
    assert gains([({}, {})]) == [None]
