"""Pointwise losses: each candidate against its own teacher score. They calibrate the scores."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, huber_loss

from radio.losses.base import Loss, mean_per_question, prepare
from radio.ranges import check


class BinaryCrossEntropy(Loss):
    """Cross-entropy between the sigmoid of the score and the teacher score as a soft label.

    ``-t log sigmoid(s) - (1 - t) log(1 - sigmoid(s))``, for targets t in [0, 1] (Nogueira & Cho,
    arXiv 1901.04085, eq. 1, with soft labels). Not invariant to shifts of the scores: it calibrates
    them.
    """

    shift_invariant = False

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        return mean_per_question(
            binary_cross_entropy_with_logits(scores, targets, reduction="none"), mask, weights
        )


class MeanSquaredError(Loss):
    """Squared distance of score and teacher score, ``(s - t)^2``.

    Ba and Caruana, arXiv 1312.6184, eq. 1.

    The scores themselves, not their sigmoid, learn to equal the targets; scaling both by c scales
    it by c^2.
    """

    shift_invariant = False

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        return mean_per_question((scores - targets).square(), mask, weights)


class Huber(Loss):
    """Squared near the teacher score, linear beyond: outliers pull with bounded force.

    ``d^2 / 2`` where ``|d| = |s - t| <= delta``, else ``delta (|d| - delta / 2)`` (Huber, Ann.
    Math. Stat. 35, 1964).

    Args:
        delta: where the line begins, > 0, in units of the teacher score.
    """

    shift_invariant = False

    def __init__(self, delta: float = 1.0) -> None:
        check(self, locals())
        self.delta = delta

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        return mean_per_question(
            huber_loss(scores, targets, reduction="none", delta=self.delta), mask, weights
        )
