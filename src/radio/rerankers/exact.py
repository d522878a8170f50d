"""Layers that give scores, or compared vectors, in fp32 whatever the precision of a run."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ExactLinear(nn.Linear):
    """A linear layer in fp32 whatever its weights and autocast say: 16 bits would make ties."""

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(input.device.type, enabled=False):
            return nn.functional.linear(input.float(), self.weight.float(), bias)
