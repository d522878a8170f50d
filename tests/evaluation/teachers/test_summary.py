"""Means, intervals and tests of several rankings."""

from __future__ import annotations

import pytest

from radio.evaluation.measure import Numbers
from radio.evaluation.statistics import bootstrap_interval, holm, sign_flip_test
from radio.evaluation.teachers.summary import differences, means

TABLE: dict[str, dict[str, Numbers]] = {
    "reference": {"q1": {"a": 0.0, "b": 1.0}, "q2": {"a": 0.5}, "q3": {"a": 0.0}},
    "one": {"q1": {"a": 1.0, "b": 0.0}, "q2": {"a": 0.5}, "q3": {"a": 0.7}},
    "two": {"q1": {"a": 0.2, "b": 1.0}, "q2": {"a": 0.1}, "q3": {"a": 0.3}},
}


def test_each_metric_is_of_the_questions_that_have_it() -> None:
    found = means(TABLE, ["a", "b", "nowhere"])
    assert found["one"]["means"] == {"a": pytest.approx(2.2 / 3), "b": 0.0}
    assert found["one"]["counts"] == {"a": 3, "b": 1}
    assert found["one"]["intervals"]["a"] == pytest.approx(bootstrap_interval([1.0, 0.5, 0.7]))


def test_differences_are_corrected_metric_by_metric() -> None:
    found = differences(TABLE, "reference", ["a", "b", "nowhere"])
    p_values = [sign_flip_test([1.0, 0.0, 0.7]), sign_flip_test([0.2, -0.4, 0.3])]
    assert found["one"]["a"]["p"] == p_values[0]
    assert [found[name]["a"]["p_holm"] for name in ("one", "two")] == holm(p_values)
    assert found["one"]["a"]["difference"] == pytest.approx(1.7 / 3)
    assert found["one"]["b"]["difference"] == -1.0
    assert found["two"].keys() == {"a", "b"}
    assert found["reference"] == {}


def test_without_others_there_is_nothing_to_test() -> None:
    assert differences({"reference": TABLE["reference"]}, "reference", ["a"]) == {"reference": {}}
    assert means({}, ["a"]) == {}
