"""Losses near a ranking metric: scaling, limits and bounds."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from radio.losses import (
    ApproxNDCG,
    LambdaLoss,
    Loss,
    NeuralNDCG,
)
from radio.losses.metric import Weighting
from tests.losses.cases import MASK, label, random_lists, value_and_gradient

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize("k", [None, 2])
def test_scaling_scores_or_sigma_is_the_same_in_lambda_loss(
    weighting: Weighting, k: int | None
) -> None:
    scores, targets = random_lists()
    steep = LambdaLoss(weighting, sigma=3.0, k=k)(scores, targets, MASK)
    torch.testing.assert_close(LambdaLoss(weighting, k=k)(3 * scores, targets, MASK), steep)


def test_lambda_loss_with_k_of_the_whole_list_is_that_without() -> None:
    scores, targets = random_lists()
    for weighting in get_args(Weighting):
        full, values = LambdaLoss(weighting)(scores, targets, MASK), []
        for k in range(1, 6):
            values.append(float(LambdaLoss(weighting, k=k)(scores, targets, MASK)))
        assert values[-1] == pytest.approx(float(full))
        # more pairs with k; the weights shrink with maxDCG@k
        assert weighting != "none" or values == sorted(values)
        assert values[0] != pytest.approx(float(full))


def test_lambda_loss_with_k_learns_from_scores_that_all_tie() -> None:
    targets, everything = torch.tensor([[0.9, 0.5, 0.3, 0.1]]), torch.ones(1, 4, dtype=torch.bool)
    value, gradient = value_and_gradient(LambdaLoss(k=1), torch.zeros(1, 4), targets, everything)
    assert value > 0
    assert (gradient != 0).all()


def test_the_weights_of_lambda_loss_carry_no_gradient() -> None:
    scores, targets = random_lists()
    unweighted = LambdaLoss("none")
    # one pair: the gradient is that of the unweighted loss, times a constant
    pair = MASK[2:]
    _, plain = value_and_gradient(unweighted, scores[2:], targets[2:], pair)
    for weighting in get_args(Weighting):
        value, gradient = value_and_gradient(LambdaLoss(weighting), scores[2:], targets[2:], pair)
        if weighting != "ndcg_loss1":
            ratio = value / unweighted(scores[2:], targets[2:], pair)
            torch.testing.assert_close(gradient, ratio * plain)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "loss", [ApproxNDCG(temperature=1e-4), NeuralNDCG(temperature=1e-3)], ids=label
)
def test_soft_ndcg_tends_to_ndcg(loss: Loss, seed: int) -> None:
    ndcg_score = pytest.importorskip("sklearn.metrics").ndcg_score
    scores, targets = random_lists(seed, (4, 7))
    everything = torch.ones_like(scores, dtype=torch.bool)
    # its gains are linear in what it is given
    ndcg = ndcg_score(2 ** targets.numpy() - 1, scores.numpy())
    assert float(loss(scores, targets, everything)) == pytest.approx(1 - ndcg, abs=1e-6)
    assert 0.01 < 1 - ndcg < 0.99


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0])
def test_approx_ndcg_lies_in_its_bounds(temperature: float) -> None:
    scores, targets = random_lists(0, (200, 6))
    loss = ApproxNDCG(temperature)
    for row in range(200):
        value = loss(
            scores[row : row + 1], targets[row : row + 1], torch.ones(1, 6, dtype=torch.bool)
        )
        assert -1e-12 <= float(value) < 1


def test_more_iterations_of_sinkhorn_scaling_converge() -> None:
    scores, targets = random_lists()
    values = [float(NeuralNDCG(iterations=n)(scores, targets, MASK)) for n in (1, 30, 1000, 2000)]
    assert values[2] == pytest.approx(values[3], abs=1e-9)
    assert abs(values[1] - values[3]) < abs(values[0] - values[3])
