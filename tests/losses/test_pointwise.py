"""Losses of squares and lines scale with their units."""

from __future__ import annotations

import pytest
import torch

from radio.losses import (
    Huber,
    MarginMSE,
    MeanSquaredError,
    PairwiseHinge,
)
from tests.losses.cases import MASK, random_lists

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_squared_and_linear_losses_scale_with_their_units(factor: float) -> None:
    scores, targets = random_lists()
    c, square = factor, factor**2
    for scaled, plain, by in (
        (
            MeanSquaredError()(c * scores, c * targets, MASK),
            MeanSquaredError()(scores, targets, MASK),
            square,
        ),
        (Huber(c * 0.3)(c * scores, c * targets, MASK), Huber(0.3)(scores, targets, MASK), square),
        (MarginMSE(scale=c)(c * scores, targets, MASK), MarginMSE()(scores, targets, MASK), square),
        (
            PairwiseHinge(margin=c)(c * scores, targets, MASK),
            PairwiseHinge()(scores, targets, MASK),
            c,
        ),
    ):
        torch.testing.assert_close(scaled, by * plain)
