"""Dropout with fewer random numbers, for training on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """Dropout with a quarter of the random numbers, which take most of a step on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not self.p or input.device.type != "cpu" or self.p >= 1:
            return super().forward(input)
        return fast_dropout(input, self.p)


def fast_dropout(x: Tensor, probability: float) -> Tensor:
    """Dropout in steps of 1/65536 of probability, four decisions from each random 64-bit number."""
    dropped = round(probability * 65536)
    numbers = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(
        -(2**63), None
    )
    keep = numbers.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 32768
    kept: Tensor = _Masked.apply(x, keep, 65536 / (65536 - dropped))  # type: ignore[no-untyped-call]
    return kept


class _Masked(torch.autograd.Function):
    """``x * keep * scale``, which remembers one byte for each element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (x * keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (gradients[0] * keep).mul_(ctx.scale), None, None
