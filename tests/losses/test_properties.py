"""Losses: what their docstrings say beyond the contract: units, limits, equalities, weights."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    Huber,
    InfoNCE,
    JensenShannon,
    KLDivergence,
    LambdaLoss,
    ListMLE,
    ListNet,
    Loss,
    MarginMSE,
    MeanSquaredError,
    NeuralNDCG,
    NoisyTeacher,
    PairwiseHinge,
    PairwiseLogistic,
    PListMLE,
    RankNet,
    WeightedSum,
)
from radio.losses.metric import Weighting
from tests.losses.cases import MASK, at, label, random_lists, value_and_gradient

pytestmark = pytest.mark.usefixtures("one_thread")


# What else the docstrings say.


@pytest.mark.parametrize(
    "kind",
    [
        ADRMSE,
        ApproxNDCG,
        InfoNCE,
        JensenShannon,
        KLDivergence,
        ListNet,
        NeuralNDCG,
        PairwiseLogistic,
    ],
)
@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_scaling_scores_and_temperature_together_changes_nothing(
    kind: type[Loss], factor: float
) -> None:
    scores, targets = random_lists()
    value = kind(temperature=0.7)(scores, targets, MASK)
    torch.testing.assert_close(
        kind(temperature=0.7 * factor)(factor * scores, targets, MASK), value
    )


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


def test_soft_ranknet_tends_to_the_hard_one() -> None:
    scores, targets = random_lists()
    hard = RankNet()(scores, targets, MASK)
    torch.testing.assert_close(RankNet(teacher_temperature=1e-4)(scores, targets, MASK), hard)


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


def test_divergences_are_zero_at_agreement_alone() -> None:
    _, targets = random_lists()
    everything = torch.ones_like(MASK)
    agreeing = 2.0 * targets / 0.3 + 5.0
    for loss in (
        KLDivergence(2.0, 0.3),
        KLDivergence(2.0, 0.3, "reverse"),
        JensenShannon(2.0, 0.3),
    ):
        value, gradient = value_and_gradient(loss, agreeing, targets, everything)
        assert float(value) == pytest.approx(0, abs=1e-12)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))
        assert loss(agreeing.flip(1), targets, everything) > 0.01


def test_list_net_and_forward_kl_have_the_same_gradient() -> None:
    scores, targets = random_lists()
    for settings in ((1.0, 1.0), (2.0, 0.1)):
        _, cross_entropy = value_and_gradient(ListNet(*settings), scores, targets, MASK)
        _, divergence = value_and_gradient(KLDivergence(*settings), scores, targets, MASK)
        torch.testing.assert_close(cross_entropy, divergence)


def test_jensen_shannon_is_symmetric_and_bounded() -> None:
    scores, targets = random_lists()
    there = JensenShannon(2.0, 0.3)(scores, targets, MASK)
    torch.testing.assert_close(JensenShannon(0.3, 2.0)(targets, scores, MASK), there)
    apart = torch.tensor([[1e4, 0.0], [0.0, 1e4]]).double()
    both = torch.ones(2, 2, dtype=torch.bool)
    assert float(JensenShannon()(apart, apart.flip(1), both)) == pytest.approx(math.log(2))


def test_list_mle_is_a_probability_of_orders() -> None:
    scores = random_lists()[0][:1, :4]
    total = 0.0
    for order in permutations([0.1, 0.2, 0.3, 0.4]):
        targets = torch.tensor([order], dtype=torch.float64)
        total += math.exp(-float(ListMLE()(scores, targets, torch.ones(1, 4, dtype=torch.bool))))
    assert total == pytest.approx(1)


def test_position_weights_do_not_grow_with_the_list() -> None:
    n = 300  # 2^n is beyond fp32
    scores, targets = torch.zeros(1, n), torch.linspace(0, 1, n)[None]
    value, gradient = value_and_gradient(
        PListMLE(), scores, targets, torch.ones(1, n, dtype=torch.bool)
    )
    expected = sum(2.0**-place * math.log(n + 1 - place) for place in range(1, 60))
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert gradient.isfinite().all()


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
