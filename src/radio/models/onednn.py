"""Linear layers of a network that is not trained, on a CPU, in oneDNN's own layout.

oneDNN computes with weights in a layout of its own; torch makes it anew in every product. Where a
product has few rows, as when a language model writes one token at a time, that takes longer than
the product itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from radio.models.limits import computes_in_bf16

ROWS = 512
"""Rows for which the layout is made; products of others are computed too."""


class LaidOut(nn.Module):
    """A linear layer whose weights are in oneDNN's layout; it cannot be saved or trained."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        lay_out: Any = torch.ops.mkldnn._reorder_linear_weight
        self.in_features = layer.in_features
        self.out_features = layer.out_features
        # under the names of a linear layer: some networks look at the dtype of weights
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.weight: Tensor = lay_out(layer.weight.detach().contiguous(), ROWS)

    def forward(self, inputs: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]``."""
        product: Any = torch.ops.mkldnn._linear_pointwise
        made: Tensor = product(inputs, self.weight, self.bias, "none", [], "")
        return made


def lay_out(network: nn.Module) -> None:
    """Put the weights of a network's linear layers into oneDNN's layout, where that is a gain: on a
    CPU, in fp32, or in bf16 where the processor computes in it.

    The network gives what it gave before, up to rounding. Its embeddings stay as they are, also
    where the head has the same weights.
    """
    onednn: Any = torch.backends.mkldnn
    if not onednn.is_available():
        return
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            # an adapter or a quantised layer is a class of its own
            if type(layer) is nn.Linear and _is_gain(layer.weight):
                setattr(module, name, LaidOut(layer))


def _is_gain(weight: Tensor) -> bool:
    if weight.device.type != "cpu":
        return False
    known = weight.dtype == torch.float32
    return known or (weight.dtype == torch.bfloat16 and computes_in_bf16("cpu"))
