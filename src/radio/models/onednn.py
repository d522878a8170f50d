"""Linear layers that are not trained, on a CPU, in oneDNN's own layout.

oneDNN computes with weights in a layout of its own; torch makes it anew in every product. Where a
product has few rows, as when a language model writes one token at a time, that takes longer than
the product itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from radio.models.limits import computes_in_bf16

ROWS = 512
"""Rows for which the layout is made; products of others are computed too."""


class Product(NamedTuple):
    """Weights in oneDNN's layout, and a bias ``[out]``."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, inputs: Tensor, then: str = "none") -> Tensor:
        """``[..., in]`` -> ``[..., out]``; ``then`` is an activation in oneDNN's words."""
        how: Any = torch.ops.mkldnn._linear_pointwise
        exactly = "none" if then == "gelu" else ""
        made: Tensor = how(inputs, self.weight, self.bias, then, [], exactly)
        return made

    def plus(self, inputs: Tensor, residual: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]``, added to a residual of that shape, in its type."""
        if residual.dtype != inputs.dtype:
            # under autocast: sums stay in fp32, as transformers has them
            return residual + self(inputs)
        how: Any = torch.ops.mkldnn._linear_pointwise.binary
        made: Tensor = how(inputs, residual, self.weight, self.bias, "add")
        return made


def product(weight: Tensor, bias: Tensor | None, rows: int = ROWS) -> Product:
    """The product with weights ``[out, in]``, in their type.

    Args:
        weight: of a type for which :func:`computes` holds.
        bias: ``[out]``.
        rows: for which the layout is made.
    """
    lay_out: Any = torch.ops.mkldnn._reorder_linear_weight
    return Product(lay_out(weight.contiguous(), rows), bias)


def computes(dtype: torch.dtype) -> bool:
    """Whether oneDNN is a gain for weights of this type: fp32, or bf16 where the processor computes
    in it."""
    onednn: Any = torch.backends.mkldnn
    known = dtype == torch.float32 or (dtype == torch.bfloat16 and computes_in_bf16("cpu"))
    return known and bool(onednn.is_available())


class LaidOut(nn.Module):
    """A linear layer whose weights are in oneDNN's layout; it cannot be saved or trained."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        bias = None if layer.bias is None else layer.bias.detach()
        self._product = product(layer.weight.detach(), bias)
        self.in_features = layer.in_features
        self.out_features = layer.out_features
        # under the names of a linear layer: some networks look at the dtype of weights
        self.weight, self.bias = self._product

    def forward(self, inputs: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]``."""
        return self._product(inputs)


def lay_out(network: nn.Module) -> None:
    """Put the weights of a network's linear layers into oneDNN's layout, where that is a gain and
    they are on a CPU.

    The network gives what it gave before, up to rounding. Its embeddings stay as they are, also
    where the head has the same weights.
    """
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            # an adapter or a quantised layer is a class of its own
            if type(layer) is not nn.Linear or layer.weight.device.type != "cpu":
                continue
            if computes(layer.weight.dtype):
                setattr(module, name, LaidOut(layer))
