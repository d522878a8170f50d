"""Losses made of losses: schedules, and a teacher that is not trusted."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ADRMSE,
    InfoNCE,
    KLDivergence,
    ListMLE,
    Loss,
    NoisyTeacher,
    PairwiseHinge,
    PairwiseLogistic,
    PListMLE,
    RankNet,
    WeightedSum,
)
from tests.losses.cases import MASK, at, random_lists, value_and_gradient

pytestmark = pytest.mark.usefixtures("one_thread")


def test_weights_follow_the_progress_of_the_training() -> None:
    scores, targets = random_lists()
    kl, nce = KLDivergence(), InfoNCE()
    first, second = kl(scores, targets, MASK), nce(scores, targets, MASK)
    loss = WeightedSum({"kl": kl, "nce": nce}, {"kl": [1.0, 0.0], "nce": [0.5, 2.0]})
    for progress, expected in (
        (0.0, first + 0.5 * second),
        (0.5, 0.5 * first + 1.25 * second),
        (1.0, 2.0 * second),
        (1.1, 2.0 * second),  # the estimate of the number of steps may be short
    ):
        torch.testing.assert_close(at(progress, loss)(scores, targets, MASK), expected)
    outer = at(0.5, WeightedSum({"inner": NoisyTeacher(loss, confidence=None)}, {"inner": 2.0}))
    torch.testing.assert_close(outer(scores, targets, MASK), first + 2.5 * second)


def test_a_loss_of_weight_zero_is_not_asked() -> None:
    class Broken(Loss):
        def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
            raise AssertionError

    scores, targets = random_lists()
    loss = WeightedSum({"broken": Broken(), "nce": InfoNCE()}, {"broken": 0})
    torch.testing.assert_close(loss(scores, targets, MASK), InfoNCE()(scores, targets, MASK))
    silent = WeightedSum({"broken": Broken()}, {"broken": [0, 1]})
    padding = torch.full((1, 5), math.inf).bfloat16()
    value, gradient = value_and_gradient(silent, padding, targets[:1], torch.zeros_like(MASK[:1]))
    assert value == 0
    assert value.dtype == torch.float32
    assert (gradient == 0).all()


@pytest.mark.parametrize("measure", ["margin", "entropy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 3, 6, 8, 10, 17])
def test_a_teacher_without_an_opinion_is_not_followed(
    measure: Literal["margin", "entropy"], dtype: torch.dtype, size: int
) -> None:
    scores = random_lists(shape=(1, size))[0].to(dtype)
    loss = NoisyTeacher(KLDivergence(), confidence=measure)
    tied, everything = torch.full_like(scores, 0.7), torch.ones_like(scores, dtype=torch.bool)
    value, gradient = value_and_gradient(loss, scores, tied, everything)
    assert value == 0
    assert (gradient == 0).all()


def test_a_sure_teacher_counts_more() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0]] * 2).double()
    sure, unsure = [1.0, 0.0, 0.1], [0.1, 0.2, 0.3]
    targets = torch.tensor([sure, unsure]).double()
    everything = torch.ones_like(scores, dtype=torch.bool)
    alone = [InfoNCE()(scores[i : i + 1], targets[i : i + 1], everything[:1]) for i in range(2)]
    weighted = NoisyTeacher(InfoNCE())(scores, targets, everything)
    torch.testing.assert_close(weighted, (0.9 * alone[0] + 0.1 * alone[1]) / 1.0)


@pytest.mark.parametrize(
    "loss",
    [
        RankNet(),
        ListMLE(),
        PListMLE(),
        InfoNCE(),
        PairwiseHinge(),
        ADRMSE(),
        PairwiseLogistic(weighted=False),
    ],
)
def test_smoothing_does_not_touch_losses_that_see_the_order_alone(loss: Loss) -> None:
    scores, targets = random_lists()
    smooth = NoisyTeacher(loss, smoothing=0.5, confidence=None)(scores, targets, MASK)
    torch.testing.assert_close(smooth, loss(scores, targets, MASK))
