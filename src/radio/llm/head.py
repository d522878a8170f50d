"""The head of a language model in fp32, for likelihoods.

16 bits know 8 of a number: around a logit of 20 the next one is 0.125 away, so that likelihoods
would come in steps, and passages that differ would tie. What is before the head stays in the
type of the weights, whose rounding is no such grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

ROWS = 1 << 14
"""Rows of the head's weights that are in fp32 at a time."""


class ExactHead:
    """The head of a network, to be computed in fp32 where it is asked for.

    To be made before the network's weights are put into a layout of their own. Of a network whose
    head is no plain linear layer in 16 bits nothing changes.

    Args:
        network: a causal model or one with encoder and decoder.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        head = network.get_output_embeddings()
        is_coarse = type(head) is nn.Linear and head.weight.dtype in (torch.bfloat16, torch.float16)
        # those of the embeddings, as a rule, which are in memory anyway
        self._weight: Tensor | None = head.weight.detach() if is_coarse else None
        self._bias: Tensor | None = None
        if is_coarse and head.bias is not None:
            self._bias = head.bias.detach().float()

    @contextmanager
    def computed(self) -> Iterator[None]:
        """Within this context the network's logits are in fp32."""
        if self._weight is None:
            yield
            return
        head = self._network.get_output_embeddings()
        hook = head.register_forward_hook(self._recompute)
        try:
            yield
        finally:
            hook.remove()

    def _recompute(self, head: nn.Module, inputs: tuple[Tensor, ...], coarse: Tensor) -> Tensor:
        assert self._weight is not None
        hidden = inputs[0].float()
        parts = [linear(hidden, some.float()) for some in torch.split(self._weight, ROWS)]
        logits = torch.cat(parts, dim=-1)
        return logits if self._bias is None else logits + self._bias
