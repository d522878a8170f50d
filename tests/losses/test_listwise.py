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
