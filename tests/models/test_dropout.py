"""Dropout with a quarter of the random numbers is dropout."""

from __future__ import annotations

import pytest
import torch

from radio.models.dropout import fast_dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_the_mean_and_passes_the_gradient_of_what_it_kept(
    probability: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 203, dtype=dtype, requires_grad=True)
    y = fast_dropout(x, probability)
    assert y.dtype == dtype
    kept = y != 0
    share = kept.float().mean().item()
    # five standard deviations of a binomial share
    assert share == pytest.approx(
        1 - probability, abs=5 * (probability * (1 - probability) / x.numel()) ** 0.5
    )
    assert y[kept].float().unique().tolist() == pytest.approx([1 / (1 - probability)], rel=0.01)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.equal(y.detach())
    # neighbours, which come from one random number, are independent
    flat = kept.flatten().float()
    for lag in (1, 2, 3, 4):
        assert abs(torch.corrcoef(torch.stack([flat[:-lag], flat[lag:]]))[0, 1].item()) < 0.015
