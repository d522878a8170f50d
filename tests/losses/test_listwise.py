"""Listwise losses: divergences, probabilities of orders."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch

from radio.losses import (
    JensenShannon,
    KLDivergence,
    ListMLE,
    ListNet,
    PListMLE,
)
from radio.schema import InputError
from tests.losses.cases import MASK, random_lists, value_and_gradient

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_targets_that_are_proportional_to_probabilities_are_taken_as_they_are() -> None:
    """Perplexity distillation (Atlas): softmax of log-likelihoods at a temperature, then scaled to
    [0, 1] by its largest."""
    likelihoods = torch.tensor([[-3.0, -1.5, -7.0, -2.0]]).double()
    wanted = (likelihoods / 0.5).softmax(1)
    scores, mask = random_lists(shape=(1, 4))[0], torch.ones(1, 4, dtype=torch.bool)
    student = scores.log_softmax(1)
    expected = (wanted * (wanted.log() - student)).sum()
    for targets in (wanted, wanted / wanted.max()):
        loss = KLDivergence(teacher_temperature=None)
        torch.testing.assert_close(loss(scores, targets, mask), expected)


def test_a_reverse_divergence_from_targets_that_may_be_0_is_refused() -> None:
    with pytest.raises(InputError, match="teacher_temperature: found null with direction 'reve"):
        KLDivergence(teacher_temperature=None, direction="reverse")


@pytest.mark.parametrize("kind", [ListNet, KLDivergence, JensenShannon])
def test_a_group_whose_targets_are_all_0_does_not_count(kind: type[ListNet]) -> None:
    scores, targets = random_lists()
    targets[1] = 0
    loss, kept = kind(teacher_temperature=None), torch.tensor([0, 2])
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    torch.testing.assert_close(value, loss(scores[kept], targets[kept], MASK[kept]))
    assert (gradient[1] == 0).all()
