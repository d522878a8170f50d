"""How losses are compared with other libraries' own code, on ragged lists."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from radio.losses import (
    Loss,
)

Lists = list[tuple[Tensor, Tensor]]


Peer = Callable[[list[Tensor], list[Tensor]], Tensor]
"""Scores and targets of each question to one value."""


def ragged(kind: str = "distinct", lengths: tuple[int, ...] = (5, 2, 7, 3, 4)) -> Lists:
    """Random scores without ties, targets in [0, 1]; the teacher orders at least one pair of each
    question."""
    generator = torch.Generator().manual_seed(3)
    lists = []
    for length in lengths:
        steps = torch.randperm(length, generator=generator)
        targets = {
            "distinct": (steps + 0.5) / length,
            "tied": (steps // 2) / length,
            "binary": (steps == 0).float(),
        }
        lists.append((2 * torch.randn(length, generator=generator), targets[kind].float()))
    if kind == "tied":
        lists = [(scores, targets) for scores, targets in lists if len(set(targets.tolist())) > 1]
    return lists


def value_and_gradients(peer: Peer, lists: Lists) -> tuple[float, Tensor]:
    scores = [s.clone().requires_grad_() for s, _ in lists]
    value = peer(scores, [t for _, t in lists])
    value.backward()
    return float(value.detach()), torch.cat([s.grad for s in scores if s.grad is not None])


def padded(loss: Loss) -> Peer:
    """Ours, on one padded batch."""

    def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
        pad = torch.nn.utils.rnn.pad_sequence
        mask = pad([torch.ones_like(s, dtype=torch.bool) for s in scores], batch_first=True)
        return loss(
            pad(scores, batch_first=True), pad(targets, batch_first=True, padding_value=0.9), mask
        )

    return call


def assert_equal(
    ours: Loss, peer: Peer, lists: Lists, factor: float = 1.0, offset: float = 0.0
) -> None:
    """ours = factor * peer + offset, gradients as well."""
    value, gradients = value_and_gradients(padded(ours), lists)
    peer_value, peer_gradients = value_and_gradients(peer, lists)
    assert value == pytest.approx(factor * peer_value + offset, rel=2e-5, abs=1e-6)
    torch.testing.assert_close(gradients, factor * peer_gradients, rtol=2e-5, atol=2e-6)


def ordered_pairs(targets: Tensor) -> int:
    return sum(a > b for a in targets.tolist() for b in targets.tolist())


def ideal_dcg(targets: Tensor, k: int | None = None) -> float:
    best = sorted(targets.tolist(), reverse=True)[:k]
    return sum((2**target - 1) / math.log2(place + 1) for place, target in enumerate(best, 1))


def ndcg(scores: Tensor, targets: Tensor) -> float:
    by_score = [
        t for _, t in sorted(zip(scores.tolist(), targets.tolist(), strict=True), reverse=True)
    ]
    return sum((2**t - 1) / math.log2(p + 1) for p, t in enumerate(by_score, 1)) / ideal_dcg(
        targets
    )
