"""The contract of all losses and the reductions that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Loss(ABC):
    """A callable on tensors: no model, no tokenizer, no batch object.

    Padding is expressed by ``mask`` alone: padded scores and targets may hold any finite number. A question counts
    when it has something to compare (a valid item, or a pair); the loss is the mean over those questions, and 0, with
    zero gradients, when there is none.
    """

    @abstractmethod
    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss.

        Args:
            scores: student scores ``[B, G]``, any float type (computed in fp32 at least).
            targets: teacher scores ``[B, G]``, in [0, 1] unless the loss says otherwise.
            mask: bool ``[B, G]``, True for real items.
        """


def prepare(scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At least fp32, padding zeroed: bf16 would create ties, and ``0 * inf`` would poison masked sums."""
    dtype = torch.promote_types(scores.dtype, torch.float32)
    zero = torch.zeros((), dtype=dtype, device=scores.device)
    return torch.where(mask, scores.to(dtype), zero), torch.where(mask, targets.to(dtype), zero), mask.bool()


def mean_per_question(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid entries of each question, then over the questions that have one; ``[B, ...]`` -> scalar."""
    values = torch.where(valid, values, torch.zeros_like(values)).flatten(1).sum(1)
    counts = valid.flatten(1).sum(1)
    return (values / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)


def masked_log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Log-softmax over the valid items ``[B, G]``; padded entries come out as 0 and take no part."""
    # a large finite number: -inf would turn an all-padded row into NaN, in its gradients too
    filled = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.where(mask, filled.log_softmax(dim=1), torch.zeros_like(scores))
