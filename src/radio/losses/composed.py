"""Losses made of losses: weighted sums with schedules, and protection from a noisy teacher."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from radio import contracts
from radio.losses.base import (
    Loss,
    contrasted,
    loss_of,
    masked_log_softmax,
    prepare,
    relative,
    weighted_mean,
)
from radio.ranges import check
from radio.schema import InputError


class WeightedSum(Loss):
    """``sum_k w_k loss_k``, each weight constant or moving over the training.

    Args:
        losses: by a name of your choice, so that one entry can be overridden on the command line.
        weights: for each name a number, or ``[first, last]``: from the first step to the last in a
            straight line (KL early, InfoNCE late: ``{kl: [1, 0], nce: [0, 1]}``). A name without a
            weight has weight 1.
    """

    def __init__(
        self, losses: dict[str, Loss], weights: dict[str, float | list[float]] | None = None
    ) -> None:
        check(self, locals())
        self.losses = losses
        self.weights: dict[str, float | list[float]] = {
            **dict.fromkeys(losses, 1.0),
            **(weights or {}),
        }
        unknown = set(self.weights) - set(losses)
        if not losses:
            raise InputError(f"WeightedSum: losses: found {losses}, expected at least one")
        if unknown:
            raise InputError(
                f"WeightedSum: weights: found {sorted(unknown)}, expected names among "
                f"{sorted(losses)}"
            )
        for name, weight in self.weights.items():
            if isinstance(weight, list) and len(weight) != 2:
                raise InputError(
                    f"WeightedSum: weights.{name}: found {weight}, expected a number or [first, "
                    "last]"
                )
        if all(weight in (0, [0, 0]) for weight in self.weights.values()):
            raise InputError(
                "WeightedSum: weights: found 0 for every loss, expected one to learn from"
            )

    @property
    def shift_invariant(self) -> bool:  # type: ignore[override]
        return all(loss.shift_invariant for loss in self.losses.values())

    @property
    def positives_taken(self) -> frozenset[int]:
        return frozenset().union(*(loss.positives_taken for loss in self.losses.values()))

    @property
    def takes_weights(self) -> bool:
        return all(loss.takes_weights for loss in self.losses.values())

    def weight(self, name: str) -> float:
        """The weight of a loss at the current progress."""
        weight = self.weights[name]
        if isinstance(weight, list):
            first, last = weight
            return first + (last - first) * min(1.0, self.progress)
        return weight

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        for loss in self.losses.values():
            loss.progress = self.progress
        # once for all: gradients in bf16 would lose digits as they add up
        scores, targets, mask = prepare(scores, targets, mask)
        # a loss of weight 0 is not asked: its gradient would be 0 times what may be infinite
        parts = []
        for name, loss in self.losses.items():
            if weight := self.weight(name):
                value = loss_of(loss, scores, targets, mask, weights)
                parts.append(weight * contracts.loss(loss, value, scores))
        return torch.stack(parts).sum() if parts else scores.sum() * 0


class NoisyTeacher(Loss):
    """Another loss that trusts the teacher less: smoothed targets, weighted questions.

    Questions are weighted by the teacher's confidence, times the weights that they come with.

    Smoothed: ``t' = (1 - e) t + e mean(t)``, the mean over the question's candidates (label
    smoothing, Szegedy et al., arXiv 1512.00567, section 7; the order stays, so losses that see the
    order alone do not change). Weighted: ``sum_q w_q loss_q / sum_q w_q``, where ``w_q`` in [0, 1]
    is the ``margin`` between the best target and the next, or 1 minus the normalised ``entropy`` of
    ``softmax(t / T)``. A question whose targets all tie has weight 0.

    Args:
        loss: the loss to protect.
        smoothing: e in [0, 1).
        confidence: ``margin``, ``entropy``, or None for equal weights.
        temperature: T > 0 of the entropy.
    """

    def __init__(
        self,
        loss: Loss,
        smoothing: float = 0.0,
        confidence: Literal["margin", "entropy"] | None = "margin",
        temperature: float = 0.1,
    ) -> None:
        check(self, locals())
        self.loss = loss
        self.smoothing = smoothing
        self.confidence = confidence
        self.temperature = temperature
        if confidence not in ("margin", "entropy", None):
            raise InputError(
                f"NoisyTeacher: confidence: found {confidence!r}, expected margin, entropy or null"
            )

    @property
    def shift_invariant(self) -> bool:  # type: ignore[override]
        return self.loss.shift_invariant

    @property
    def positives_taken(self) -> frozenset[int]:
        return self.loss.positives_taken

    @property
    def takes_weights(self) -> bool:
        # with a confidence of its own it asks about one question at a time
        return self.confidence is not None or self.loss.takes_weights

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        self.loss.progress = self.progress
        _, targets, mask = prepare(scores, targets, mask)
        mean = targets.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        smooth = torch.where(mask, (1 - self.smoothing) * targets + self.smoothing * mean, targets)
        if self.confidence is None:
            value = loss_of(self.loss, scores, smooth, mask, weights)
            return contracts.loss(self.loss, value, scores)
        trust = self._confidence(targets, mask)
        if weights is not None:
            trust = trust * relative(weights.to(trust.dtype))
        used = [i for i, weight in enumerate(trust.tolist()) if weight > 0]
        if not used:
            return prepare(scores, targets, mask)[0].sum() * 0
        each = []
        for i in used:
            value = self.loss(scores[i : i + 1], smooth[i : i + 1], mask[i : i + 1])
            each.append(contracts.loss(self.loss, value, scores))
        return weighted_mean(torch.stack(each), trust[used])

    def _confidence(self, targets: Tensor, mask: Tensor) -> Tensor:
        """Weights ``[B]`` in [0, 1]; 0 where fewer than two items are."""
        count = mask.sum(1)
        if targets.shape[1] < 2:
            return torch.zeros_like(count, dtype=targets.dtype)
        if self.confidence == "margin":
            best = targets.masked_fill(~mask, torch.finfo(targets.dtype).min).topk(2, dim=1).values
            weights = best[:, 0] - best[:, 1]
        else:
            logs = masked_log_softmax(targets / self.temperature, mask)
            entropy = -torch.where(mask, logs.exp() * logs, torch.zeros_like(logs)).sum(1)
            weights = 1 - entropy / count.clamp(min=2).to(entropy.dtype).log()
        # of tied targets the entropy is log(count) but for rounding
        return torch.where(
            contrasted(targets, mask).any(1), weights, torch.zeros_like(weights)
        ).clamp(0, 1)
