"""Pointwise losses: each candidate against its own teacher score."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from radio.losses.base import Loss, mean_per_question, prepare


class BinaryCrossEntropy(Loss):
    """Cross-entropy between the sigmoid of the score and the teacher score as a soft label.

    ``-t log sigmoid(s) - (1 - t) log(1 - sigmoid(s))``, for targets t in [0, 1] (Nogueira & Cho, arXiv 1901.04085,
    eq. 1, with soft labels). Not invariant to shifts of the scores: it calibrates them.
    """

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        return mean_per_question(binary_cross_entropy_with_logits(scores, targets, reduction="none"), mask)
