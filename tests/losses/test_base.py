"""Losses: one contract for all of them, whatever they compute, and settings that are refused."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    Huber,
    InfoNCE,
    JensenShannon,
    KLDivergence,
    LambdaLoss,
    ListNet,
    Loss,
    MarginMSE,
    NeuralNDCG,
    NoisyTeacher,
    PairwiseHinge,
    PairwiseLogistic,
    RankNet,
    WeightedSum,
)
from radio.schema import InputError
from tests.losses.cases import (
    KINDS,
    MASK,
    build,
    confidence,
    every_loss,
    is_pointwise,
    random_lists,
    value_and_gradient,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@every_loss
@pytest.mark.parametrize("garbage", [0.0, 7.5, -1e30, math.inf, -math.inf])
def test_padding_changes_neither_value_nor_gradient(loss: Loss, garbage: float) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    # two more questions without an item, and four more columns, some of them between the old ones
    rows, columns = torch.tensor([0, 2, 3]), torch.tensor([1, 2, 4, 5, 8])
    place = rows[:, None], columns[None, :]
    wide_mask = torch.zeros(5, 9, dtype=torch.bool).index_put(place, MASK)
    wide_scores = torch.full((5, 9), garbage, dtype=torch.float64)
    wide_targets = wide_scores.clone()
    wide_scores[wide_mask], wide_targets[wide_mask] = scores[MASK], targets[MASK]
    wide_value, wide_gradient = value_and_gradient(loss, wide_scores, wide_targets, wide_mask)
    torch.testing.assert_close(wide_value, value)
    torch.testing.assert_close(wide_gradient[wide_mask], gradient[MASK])
    assert (wide_gradient[~wide_mask] == 0).all()


@every_loss
def test_order_of_items_and_questions_does_not_matter(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    rows = torch.tensor([2, 0, 1])[:, None]
    columns = torch.tensor([[4, 2, 0, 1, 3], [1, 0, 4, 3, 2], [3, 4, 1, 2, 0]])
    moved_value, moved_gradient = value_and_gradient(
        loss, scores[rows, columns], targets[rows, columns], MASK[rows, columns]
    )
    torch.testing.assert_close(moved_value, value)
    torch.testing.assert_close(moved_gradient, gradient[rows, columns])


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_gradient_is_that_of_the_value(loss: Loss, seed: int) -> None:
    scores, targets = random_lists(seed)
    assert torch.autograd.gradcheck(lambda s: loss(s, targets, MASK), scores.requires_grad_())


@every_loss
@pytest.mark.parametrize("tied", ["scores", "targets", "both"])
def test_ties_are_finite(loss: Loss, tied: str) -> None:
    scores, targets = random_lists()
    scores = torch.full_like(scores, 0.3) if tied != "targets" else scores
    targets = torch.full_like(targets, 0.5) if tied != "scores" else targets
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
def test_nothing_to_learn_from_gives_zero(loss: Loss, shape: tuple[int, int]) -> None:
    value, gradient = value_and_gradient(
        loss, torch.randn(shape), torch.rand(shape), torch.zeros(shape, dtype=torch.bool)
    )
    assert value == 0
    assert torch.equal(gradient, torch.zeros(shape))


@every_loss
def test_a_single_item_counts_only_where_items_stand_alone(loss: Loss) -> None:
    one = torch.tensor([[False, True, False]])
    value, gradient = value_and_gradient(
        loss, torch.tensor([[9.0, 1.5, 9.0]]), torch.tensor([[0.9, 0.2, 0.9]]), one
    )
    assert gradient.isfinite().all()
    assert (value > 0) == (gradient[one] != 0) == is_pointwise(loss)


@every_loss
def test_questions_weigh_the_same_whatever_their_length(loss: Loss) -> None:
    scores, targets = random_lists()
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], dtype=torch.bool)
    alone = torch.stack(
        [loss(scores[i : i + 1], targets[i : i + 1], mask[i : i + 1]) for i in range(3)]
    )
    weights = torch.ones(3, dtype=torch.float64)
    if isinstance(loss, NoisyTeacher):  # documented: by the teacher's confidence, where asked for
        weights = torch.tensor(
            [confidence(loss, targets[i, mask[i]].tolist()) for i in range(3)], dtype=torch.float64
        )
    torch.testing.assert_close(loss(scores, targets, mask), (weights * alone).sum() / weights.sum())


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_computed_in_fp32(loss: Loss, dtype: torch.dtype) -> None:
    scores, targets = random_lists()
    scores = scores.to(dtype)
    value, gradient = value_and_gradient(loss, scores, targets.float(), MASK)
    exact, exact_gradient = value_and_gradient(loss, scores.float(), targets.float(), MASK)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(value, exact, rtol=0, atol=0)
    torch.testing.assert_close(gradient, exact_gradient.to(dtype), rtol=0, atol=0)


@every_loss
def test_no_tensor_is_left_on_another_device(loss: Loss) -> None:
    if isinstance(loss, NoisyTeacher) and loss.confidence:
        pytest.skip("reads the weights of the questions, which the device meta does not have")
    scores, targets = random_lists()
    value = loss(scores.to("meta").requires_grad_(), targets.to("meta"), MASK.to("meta"))
    assert value.device.type == "meta"
    value.backward()


@every_loss
def test_a_constant_added_to_the_scores_matters_only_where_documented(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    moved, moved_gradient = value_and_gradient(
        loss, scores + torch.tensor([[3.0], [-2.0], [0.5]]).double(), targets, MASK
    )
    if loss.shift_invariant:
        torch.testing.assert_close(moved, value)
        torch.testing.assert_close(moved_gradient, gradient)
        torch.testing.assert_close(gradient.sum(1), torch.zeros(3, dtype=torch.float64))
    else:
        assert (moved - value).abs() > 1e-3


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_scores_are_finite(loss: Loss, dtype: torch.dtype) -> None:
    scores = torch.tensor([[1e4, -1e4, 1e4, 0.0, -1e4]] * 3).to(dtype)
    value, gradient = value_and_gradient(loss, scores, random_lists()[1].float(), MASK)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_the_teachers_order_costs_less_than_the_reverse(loss: Loss) -> None:
    _, targets = random_lists()
    everything = torch.ones_like(MASK)
    assert loss(targets.logit(), targets, everything) < loss(-targets.logit(), targets, everything)


# Settings.


def refused(kind: type[Loss]) -> Iterator[tuple[str, Any]]:
    """Values out of range for each setting of a loss, from its annotations."""
    hints = get_type_hints(kind.__init__)
    for name in inspect.signature(kind).parameters:
        parts = get_args(hints[name]) or (hints[name],)
        if get_origin(hints[name]) is Literal or any(get_origin(part) is Literal for part in parts):
            yield name, "nonsense"
        elif float in parts or int in parts:
            yield name, -1
            yield name, math.nan


REFUSED = [(kind, *setting) for kind in KINDS for setting in refused(kind)]


@pytest.mark.parametrize(
    ("kind", "name", "value"), REFUSED, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_a_setting_out_of_range_is_refused_by_name(kind: type[Loss], name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{kind.__name__}: {name}: found {value!r}, expected "):
        build(kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ADRMSE, "temperature", 0),
        (ApproxNDCG, "temperature", 0),
        (Huber, "delta", 0),
        (InfoNCE, "temperature", 0),
        (InfoNCE, "positives", 0),
        (InfoNCE, "label_smoothing", 1.0),
        (JensenShannon, "teacher_temperature", 0),
        (KLDivergence, "temperature", 0),
        (LambdaLoss, "k", 0),
        (LambdaLoss, "mu", 0),
        (LambdaLoss, "sigma", 0),
        (ListNet, "temperature", 0),
        (MarginMSE, "scale", 0),
        (NeuralNDCG, "iterations", 0),
        (NeuralNDCG, "temperature", 0),
        (NoisyTeacher, "smoothing", 1.0),
        (NoisyTeacher, "temperature", 0),
        (PairwiseHinge, "margin", 0),
        (PairwiseHinge, "threshold", 1.0),
        (PairwiseLogistic, "temperature", 0),
        (PairwiseLogistic, "threshold", 1.0),
        (RankNet, "teacher_temperature", 0),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_a_setting_at_the_end_of_its_range_is_refused_by_name(
    kind: type[Loss], name: str, value: Any
) -> None:
    with pytest.raises(InputError, match=f"^{kind.__name__}: {name}: found {value!r}, expected "):
        build(kind, **{name: value})


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        ({}, None, "WeightedSum: losses: found {}, expected"),
        (
            {"nce": InfoNCE()},
            {"ncee": 1.0},
            r"WeightedSum: weights: found \['ncee'\], expected .*'nce'",
        ),
        ({"nce": InfoNCE()}, {"nce": [1.0]}, r"WeightedSum: weights.nce: found \[1.0\], expected"),
        (
            {"nce": InfoNCE()},
            {"nce": [1.0, 2.0, 3.0]},
            r"WeightedSum: weights.nce: found .*, expected",
        ),
    ],
)
def test_a_weighted_sum_that_can_not_be_is_refused(losses: Any, weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WeightedSum(losses, weights)
