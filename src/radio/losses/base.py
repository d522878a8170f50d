"""The contract of all losses and the reductions that they share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Loss(ABC):
    """A callable on tensors: no model, no tokenizer, no batch object.

    Padding is expressed by ``mask`` alone: padded scores and targets may hold any finite number. A
    question counts when it has something to compare (a valid item, or a pair); the loss is the mean
    over those questions, and 0, with zero gradients, when there is none. With ``weights`` it is
    their weighted mean, ``sum_q w_q loss_q / sum_q w_q`` over the questions of the batch that
    count, so that equal weights are none; 0, with zero gradients, where all of them weigh 0.
    """

    shift_invariant: ClassVar[bool] = True
    """Whether adding a constant to all scores of a question leaves the value as it is."""

    progress: float = 0.0
    """Share of the training steps that lie behind, set by the reranker before each step; schedules
    read it."""

    @property
    def positives_taken(self) -> frozenset[int]:
        """How many of the highest targets the loss, or a part of it, takes for positives.

        The sampler's own positives must be the same ones.
        """
        return frozenset()

    @property
    def takes_weights(self) -> bool:
        """Whether questions can be weighted: not by one that is written without the argument."""
        return "weights" in inspect.signature(type(self).__call__).parameters

    @abstractmethod
    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Scalar loss.

        Args:
            scores: student scores ``[B, G]``, any float type (computed in fp32 at least).
            targets: teacher scores ``[B, G]``, in [0, 1] unless the loss says otherwise.
            mask: bool ``[B, G]``, True for real items.
            weights: of the questions, ``[B]``, 0 or more; None weighs them equally. A loss of your
                own may leave the argument out where no confidence is set.
        """


def loss_of(
    loss: Loss, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None
) -> Tensor:
    """The value of a loss, which need not take weights where there are none."""
    if weights is None:
        return loss(scores, targets, mask)
    return loss(scores, targets, mask, weights)


def prepare(scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At least fp32, padding zeroed: bf16 would make ties, and ``0 * inf`` poison masked sums."""
    dtype = torch.promote_types(scores.dtype, torch.float32)
    zero = torch.zeros((), dtype=dtype, device=scores.device)
    return (
        torch.where(mask, scores.to(dtype), zero),
        torch.where(mask, targets.to(dtype), zero),
        mask.bool(),
    )


def mean_per_question(values: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over each question's valid entries, then over the questions that have one.

    ``[B, ...]`` -> scalar; with ``weights`` ``[B]`` the weighted mean over these questions.
    """
    counts = valid.flatten(1).sum(1, keepdim=True)
    per_entry = values.flatten(1) / counts.clamp(min=1)
    return sum_per_question(per_entry, valid.flatten(1), weights)


def sum_per_question(values: Tensor, valid: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum over the valid entries of each question, then mean over the questions that have one.

    ``[B, ...]`` -> scalar; with ``weights`` ``[B]`` the weighted mean over these questions.
    """
    values = torch.where(valid, values, torch.zeros_like(values)).flatten(1).sum(1)
    counts = valid.flatten(1).any(1)
    if weights is None:
        return values.sum() / counts.sum().clamp(min=1)
    return weighted_mean(values, torch.where(counts, weights.to(values.dtype), 0.0))


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """``sum w v / sum w`` over ``[B]``; 0, with zero gradients, where all weights are 0."""
    weights = relative(weights)
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def relative(weights: Tensor) -> Tensor:
    """Weights ``[B]`` as shares of the largest: equal ones are 1 to the last bit, as if there were
    none."""
    if not weights.numel():
        return weights
    return weights / weights.max().clamp(min=torch.finfo(weights.dtype).tiny)


def masked_log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Log-softmax over the valid items (last dimension); padded ones are 0 and take no part."""
    # a large finite number: -inf would turn an all-padded row into NaN, in its gradients too
    filled = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.where(mask, filled.log_softmax(dim=-1), torch.zeros_like(scores))


def gaps(values: Tensor) -> Tensor:
    """``v_i - v_j`` for all pairs, ``[B, G]`` -> ``[B, G, G]``."""
    return values[:, :, None] - values[:, None, :]


def both(mask: Tensor) -> Tensor:
    """Pairs of two different real items, ``[B, G]`` -> ``[B, G, G]``."""
    pairs = mask[:, :, None] & mask[:, None, :]
    return pairs & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)


def ordered(targets: Tensor, mask: Tensor) -> Tensor:
    """Pairs of real items that the teacher orders, ``t_i > t_j``: ``[B, G]`` -> ``[B, G, G]``."""
    return (targets[:, :, None] > targets[:, None, :]) & both(mask)


def contrasted(targets: Tensor, mask: Tensor) -> Tensor:
    """Real items of the questions in which the teacher orders any two, ``[B, G]``."""
    return mask & ordered(targets, mask).flatten(1).any(1)[:, None]


def ranks(values: Tensor, mask: Tensor) -> Tensor:
    """1-based ranks by decreasing value, ``[B, G]``; equal values share the mean of their ranks."""
    pairs = both(mask)
    before = values[:, None, :] > values[:, :, None]
    tied = values[:, None, :] == values[:, :, None]
    return 1.0 + ((before & pairs).to(values.dtype) + 0.5 * (tied & pairs).to(values.dtype)).sum(2)


def soft_ranks(scores: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Soft 1-based ranks ``1 + sum_j sigmoid((s_j - s_i) / T)``, ``[B, G]`` (Qin et al. 2010)."""
    beats = torch.sigmoid(-gaps(scores) / temperature)
    return 1.0 + torch.where(both(mask), beats, torch.zeros_like(beats)).sum(2)


def gain_and_ideal(targets: Tensor, mask: Tensor, k: int | None = None) -> tuple[Tensor, Tensor]:
    """Gains ``2^t - 1``, ``[B, G]``, 0 where padded, and the teacher's own DCG@k, ``[B, 1]``.

    The latter is at least 1e-9.
    """
    gains = torch.where(mask, torch.exp2(targets) - 1, torch.zeros_like(targets))
    best = gains.sort(dim=1, descending=True).values[:, :k]
    positions = torch.arange(best.shape[1], device=targets.device, dtype=targets.dtype)
    ideal = (best / torch.log2(positions + 2)).sum(1, keepdim=True)
    return gains, ideal.clamp(min=1e-9)
