"""Weights of questions: one rule for all losses, that of a weighted mean."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from radio.losses import InfoNCE, Loss, NoisyTeacher, WeightedSum
from tests.losses.cases import MASK, every_loss, random_lists

pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTS = torch.tensor([0.8, 0.1, 0.5], dtype=torch.float64)


def weighted(
    loss: Loss, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    scores = scores.detach().clone().requires_grad_()
    value = loss(scores, targets, mask, weights)
    value.backward()
    assert scores.grad is not None
    return value.detach(), scores.grad


@every_loss
@pytest.mark.parametrize("weight", [1.0, 0.3, 1e-3, 7.0])
def test_equal_weights_are_none_to_the_last_bit(loss: Loss, weight: float) -> None:
    scores, targets = random_lists()
    plain = weighted(loss, scores, targets, MASK, None)
    equal = weighted(loss, scores, targets, MASK, torch.full((3,), weight))
    assert torch.equal(equal[0], plain[0])
    assert torch.equal(equal[1], plain[1])


@every_loss
def test_a_question_that_weighs_nothing_is_as_if_it_were_not_there(loss: Loss) -> None:
    scores, targets = random_lists()
    everything = torch.ones_like(MASK)
    value, gradient = weighted(
        loss, scores, targets, everything, torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64)
    )
    kept = torch.tensor([0, 2])
    alone, its_gradient = weighted(loss, scores[kept], targets[kept], everything[kept], None)
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(gradient[kept], its_gradient)
    assert (gradient[1] == 0).all()


@every_loss
def test_where_all_weigh_nothing_nothing_is_learned(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = weighted(loss, scores, targets, MASK, torch.zeros(3))
    assert value == 0
    assert (gradient == 0).all()
    empty = torch.zeros(0, 3)
    value, _ = weighted(loss, empty, empty, empty.bool(), torch.zeros(0))
    assert value == 0


@every_loss
@pytest.mark.parametrize("garbage", [-1e30, math.inf])
def test_padding_and_order_matter_as_little_with_weights(loss: Loss, garbage: float) -> None:
    scores, targets = random_lists()
    value, gradient = weighted(loss, scores, targets, MASK, WEIGHTS)
    rows, columns = torch.tensor([2, 0, 3]), torch.tensor([1, 2, 4, 5, 8])
    place = rows[:, None], columns[None, :]
    wide = torch.full((5, 9), garbage, dtype=torch.float64)
    moved = [wide.index_put(place, found) for found in (scores, targets)]
    mask = torch.zeros(5, 9, dtype=torch.bool).index_put(place, MASK)
    # an empty question may weigh anything
    weights = torch.full((5,), 3.0).double().index_put((rows,), WEIGHTS)
    moved_value, moved_gradient = weighted(loss, moved[0], moved[1], mask, weights)
    torch.testing.assert_close(moved_value, value)
    torch.testing.assert_close(moved_gradient[place], gradient)


@every_loss
def test_half_precision_is_finite_and_computed_in_fp32_with_weights(loss: Loss) -> None:
    scores, targets = random_lists()
    found = weighted(loss, scores.bfloat16(), targets.bfloat16(), MASK, WEIGHTS.bfloat16())
    assert found[0].dtype == torch.float32
    assert found[0].isfinite()
    assert found[1].isfinite().all()


class Plain(Loss):
    """As in docs/how-to/loss.md: without weights."""

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return InfoNCE()(scores, targets, mask)


def test_a_loss_without_the_argument_takes_no_weights_wherever_it_is_a_part() -> None:
    assert InfoNCE().takes_weights
    assert WeightedSum({"a": InfoNCE()}).takes_weights
    for loss in (Plain(), WeightedSum({"a": InfoNCE(), "b": Plain()})):
        assert not loss.takes_weights
        assert not NoisyTeacher(loss, confidence=None).takes_weights
        # it is asked about one question at a time
        assert NoisyTeacher(loss).takes_weights
        scores, targets = random_lists()
        assert loss(scores, targets, MASK).isfinite()
        assert NoisyTeacher(loss)(scores, targets, MASK, WEIGHTS).isfinite()
