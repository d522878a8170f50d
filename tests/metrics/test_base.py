"""What all metrics share: an exact mean over distinct questions, states that lose nothing."""

from __future__ import annotations

import io
import math
from fractions import Fraction

import pytest
import torch
from torchmetrics import MetricCollection

from radio.metrics.base import mean
from radio.metrics.modules import ExactMatch, Ranking, TokenF1


def test_the_mean_is_exact_and_a_question_counts_once() -> None:
    torch.manual_seed(0)
    metric = Ranking("nDCG@1")
    gains = torch.rand(2_000, 2).tolist()
    for start in range(0, 2_000, 100):
        part = gains[start : start + 100]
        metric.update([f"q{start + n}" for n in range(100)], part)
    metric.update(["q0", "q1"], [[0.0], [0.0]])
    values = metric.values()
    assert list(values) == [f"q{n}" for n in range(2_000)]
    assert values["q0"] == gains[0][0] / max(gains[0])
    exact = float(sum(map(Fraction, values.values())) / 2_000)
    assert metric.compute().dtype == torch.float64
    assert abs(metric.compute().item() - exact) <= math.ulp(exact)


def test_forward_gives_the_batch_and_keeps_all() -> None:
    metric = ExactMatch()
    assert metric(["a"], ["x"], [["x"]]) == 1.0
    assert metric(["b", "c"], ["x", None], [["y"], ["x"]]) == 0.0
    assert metric.compute() == 1 / 3
    assert metric.values() == {"a": 1.0, "b": 0.0, "c": 0.0}
    metric.reset()
    metric.update([], [], [])
    assert metric.values() == {}
    assert metric.compute().isnan()


def test_a_state_is_saved_moved_and_cast_without_loss() -> None:
    metric = TokenF1()
    metric.persistent(True)
    metric.update(["é", "b"], ["one two three", "lamp"], [["two"], ["rope"]])
    buffer = io.BytesIO()
    torch.save(metric.state_dict(), buffer)
    buffer.seek(0)
    other = TokenF1()
    other.persistent(True)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    module = torch.nn.ModuleDict({"f1": other}).to(torch.bfloat16).half()
    assert other.values() == {"é": 0.5, "b": 0.0}
    module.to("meta")
    assert other.records.device.type == "meta"


def test_a_collection_does_not_take_two_metrics_for_one() -> None:
    both = MetricCollection({"em": ExactMatch(), "f1": TokenF1(), "again": ExactMatch()})
    both.update(["a"], ["lamp"], [["lamp"]])
    both.update(["b"], ["big lamp"], [["lamp"]])
    assert {name: float(value) for name, value in both.compute().items()} == {
        "em": 0.5,
        "f1": (1 + 2 / 3) / 2,
        "again": 0.5,
    }


def test_ids_are_strings_and_there_is_a_value_for_each() -> None:
    with pytest.raises(ValueError, match="expected strings"):
        ExactMatch().update([1], ["x"], [["x"]])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="zip"):
        ExactMatch().update(["a", "b"], ["x"], [["x"]])


def test_the_order_of_values_does_not_matter_to_a_mean() -> None:
    values = [1e16, 1.0, -1e16, 0.1]
    assert mean(values) == mean(sorted(values)) == (1.1) / 4
    assert math.isnan(mean([]))
