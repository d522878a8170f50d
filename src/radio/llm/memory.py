"""Keys and values of tokens that a causal model has read: kept, and repeated row by row."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, device

WORTH_SHARING = 8
"""Tokens that prompts have in common at the least for their keys and values to be kept."""


def takes(network: Any, argument: str) -> bool:
    """Whether a network's ``forward`` has an argument."""
    return argument in inspect.signature(network.forward).parameters


def can_share(network: Any) -> bool:
    """Whether a model keeps nothing but keys and values of all tokens: rows of those can be
    repeated and left out."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    options = ("position_ids", "logits_to_keep", "past_key_values")
    if getattr(network, "_is_stateful", False):
        return False
    if not all(takes(network, name) for name in options):
        return False
    layers = DynamicCache(config=network.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def shared_tokens(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with; each has one of its own at least."""
    if len(prompts) < 2:
        return 0
    # of sorted rows the first and the last differ the earliest
    first, last = min(prompts), max(prompts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return min(len(list(same)), min(map(len, prompts)) - 1)


def repeated(network: Any, memory: Any, places: Sequence[int]) -> Any:
    """A memory of some rows of another one, which stays as it is.

    Args:
        network: whose it is.
        memory: what it has read.
        places: a row for each of the new ones; one may stand there several times.
    """
    import torch
    from transformers import DynamicCache

    made = DynamicCache(config=network.config)
    chosen = torch.tensor(places, device=network.device)
    for number, layer in enumerate(memory.layers):
        # a layer that uses the keys of another one has none
        if layer.is_initialized:
            made.update(layer.keys[chosen], layer.values[chosen], number)
    return made


def positions_of(mask: Tensor, count: int) -> Tensor:
    """Positions ``[B, count]`` of the last tokens of rows with this mask ``[B, L]``, of which
    padding has none."""
    return (mask.cumsum(-1) - 1).clamp(min=0)[:, -count:]


class Beginning:
    """What many prompts begin with, which is read once: it is remembered from batch to batch.

    Args:
        network: a causal model in evaluation mode, for which :func:`can_share` holds.
        place: its device.
    """

    def __init__(self, network: Any, place: device) -> None:
        self._network = network
        self._device = place
        self._tokens: list[int] = []
        self._memory: Any = None

    def start(self, tokens: list[int], rows: int) -> tuple[Any, int]:
        """A memory that holds these tokens for each row, and how many of them are in it: none if
        they are too few to be worth it."""
        import torch
        from transformers import DynamicCache

        if len(tokens) < WORTH_SHARING:
            return DynamicCache(config=self._network.config), 0
        if tokens != self._tokens:
            self._memory = DynamicCache(config=self._network.config)
            ids = torch.tensor([tokens], device=self._device)
            mask = torch.ones_like(ids)
            self._network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions_of(mask, len(tokens)),
                past_key_values=self._memory,
                use_cache=True,
                logits_to_keep=1,
            )
            self._tokens = list(tokens)
        return repeated(self._network, self._memory, [0] * rows), len(tokens)
