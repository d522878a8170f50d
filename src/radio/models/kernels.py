"""Encoder layers on a CPU, without gradients: what oneDNN computes in one product stays in one.

oneDNN takes weights in a layout of its own, which is made once here instead of in every product,
and ends a product with what follows it: bias, GELU, the residual. The three projections of
attention are one product. The weights, and the results up to rounding, are those of the layer as
transformers computes it (:mod:`radio.models.packing` calls either).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, scaled_dot_product_attention

from radio.models.onednn import Product, computes, product

ROWS = 1500
"""Tokens for which the layout of the weights is made; others are computed too."""


State = tuple[tuple[int, int, float], ...]
"""Of weights: it differs after each change."""


class Prepared(NamedTuple):
    """A layer's products, and the weights that they were made of."""

    made_of: State
    attend: Product
    project: Product
    widen: Product
    narrow: Product


prepared: WeakKeyDictionary[nn.Module, dict[torch.dtype, Prepared]] = WeakKeyDictionary()
"""By layer: neither its ``state_dict`` nor a copy of it should hold them."""

_alone = threading.Lock()
"""Several threads compute with a layer: one prepares it."""

_scratch = threading.local()
"""Each thread's room for attention weights: what is allocated anew costs more than to compute
them."""


def can_compute(layer: Any, hidden: Tensor) -> bool:
    """Whether :func:`compute` gives what the layer itself would, up to rounding.

    It does for BERT-like layers in evaluation mode on a CPU, without gradients, in fp32 or in bf16
    where the processor computes in it.
    """
    if hidden.device.type != "cpu" or torch.is_grad_enabled() or layer.training:
        # weights that are trained change: what was made of them is of no use any more
        prepared.pop(layer, None)
        return False
    return computes(_dtype(hidden)) and _is_plain(layer)


def compute(
    layer: Any, hidden: Tensor, lengths: Sequence[int], *, first_token_only: bool = False
) -> Tensor:
    """A layer's output for sequences end to end, without padding.

    Args:
        layer: for which :func:`can_compute` holds.
        hidden: ``[1, T, H]``.
        lengths: of the N sequences, sum T.
        first_token_only: compute the first token of each sequence alone.

    Returns:
        ``[1, T, H]``, or ``[N, 1, H]`` of the first tokens.
    """
    dtype = _dtype(hidden)
    products = _products(layer, dtype)
    residual = hidden[0].contiguous()
    self_attention = layer.attention.self
    heads = self_attention.num_attention_heads
    projected = products.attend(residual.to(dtype)).view(len(residual), 3, heads, -1)
    context = _attention(projected, lengths, self_attention.scaling, first_token_only)
    if first_token_only:
        residual = residual[torch.tensor([0, *lengths[:-1]]).cumsum(0)]
    attended = _normed(layer.attention.output.LayerNorm, products.project.plus(context, residual))
    widened = products.widen(attended.to(dtype), then="gelu")
    output = _normed(layer.output.LayerNorm, products.narrow.plus(widened, attended))
    return output[:, None] if first_token_only else output[None]


def _dtype(hidden: Tensor) -> torch.dtype:
    """The type in which products are computed here."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return hidden.dtype


def _is_plain(layer: Any) -> bool:
    """Whether the layer is of linear layers, GELU and layer norms alone: no adapter, no other
    activation, no hook that waits for its parts to be called."""
    attention = layer.attention
    heads = attention.self
    products = [heads.query, heads.key, heads.value, attention.output.dense]
    products += [layer.intermediate.dense, layer.output.dense]
    norms = [attention.output.LayerNorm, layer.output.LayerNorm]
    if any(type(part) is not nn.Linear for part in products):
        return False
    if any(type(part) is not nn.LayerNorm for part in norms):
        return False
    for module in layer.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            return False
    return type(layer.intermediate.intermediate_act_fn).__name__ == "GELUActivation"


def forget_changed(layers: Sequence[nn.Module]) -> None:
    """Drop what was made of weights that have changed since; to be called before each pass."""
    for layer in layers:
        known = prepared.get(layer)
        if known:
            state = _state(layer)
            if any(found.made_of != state for found in known.values()):
                prepared.pop(layer, None)


def _state(layer: nn.Module) -> State:
    """Where the weights are and what their bits sum to: a version would not tell of a change
    through ``.data``, as of adapters that are merged."""
    states = []
    for weight in layer.parameters():
        flat = weight.detach().reshape(-1)
        whole = len(flat) - len(flat) % 4
        bits = int(flat[:whole].view(torch.int64).sum())
        states.append((weight.data_ptr(), bits, float(flat[whole:].double().sum())))
    return tuple(states)


def _products(layer: Any, dtype: torch.dtype) -> Prepared:
    """The layer's products, made where they are not there."""
    with _alone:
        known = prepared.setdefault(layer, {})
        if dtype not in known:
            known[dtype] = _prepare(layer, dtype, _state(layer))
        return known[dtype]


def _prepare(layer: Any, dtype: torch.dtype, made_of: State) -> Prepared:
    attention = layer.attention
    three = (attention.self.query, attention.self.key, attention.self.value)
    return Prepared(
        made_of,
        _product(three, dtype),
        _product([attention.output.dense], dtype),
        _product([layer.intermediate.dense], dtype),
        _product([layer.output.dense], dtype),
    )


def _product(layers: Sequence[nn.Linear], dtype: torch.dtype) -> Product:
    """Linear layers of the same input as one."""
    # tensors of an inference could not be used in another mode
    with torch.inference_mode(False), torch.no_grad():
        weight = torch.cat([layer.weight for layer in layers]).to(dtype)
        bias = torch.cat([layer.bias for layer in layers]).to(dtype)
        return product(weight, bias, ROWS)


def _normed(norm: nn.LayerNorm, inputs: Tensor) -> Tensor:
    weight, bias = norm.weight.to(inputs.dtype), norm.bias.to(inputs.dtype)
    return layer_norm(inputs, norm.normalized_shape, weight, bias, norm.eps)


def _attention(
    projected: Tensor, lengths: Sequence[int], scale: float, first_token_only: bool
) -> Tensor:
    """Attention of each sequence to itself: ``[T, 3, heads, d]`` -> ``[T or N, heads * d]``."""
    parts = []
    for sequence in torch.split(projected, list(lengths)):
        query, key, value = sequence.permute(1, 2, 0, 3).unbind(0)
        if first_token_only:
            query = query[:, :1]
        # torch's fused attention is the slower one in bf16
        if query.dtype == torch.bfloat16:
            context = _attend(query, key, value, scale)
        else:
            context = scaled_dot_product_attention(query[None], key[None], value[None], scale=scale)
            context = context[0]
        parts.append(context)
    return torch.cat(parts, dim=1).transpose(0, 1).flatten(1)


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention ``[heads, Q, d]`` of one sequence, in buffers that this thread keeps."""
    shape = (len(query), query.shape[1], key.shape[1])
    products, weights = _rooms(shape, query.dtype)
    torch.baddbmm(query.new_empty(()), query, key.mT, beta=0, alpha=scale, out=products)
    torch.softmax(products, dim=-1, out=weights)
    return torch.bmm(weights, value)


def _rooms(shape: tuple[int, int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    size = shape[0] * shape[1] * shape[2]
    room: Tensor | None = getattr(_scratch, "room", None)
    if room is None or room.shape[1] < size or room.dtype != dtype:
        with torch.inference_mode(False):
            _scratch.room = room = torch.empty(2, size, dtype=dtype)
    return room[0, :size].view(shape), room[1, :size].view(shape)
