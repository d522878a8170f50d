"""Pairwise losses: the order of two candidates of one question."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from radio.losses.base import Loss, mean_per_question, prepare


class RankNet(Loss):
    """Logistic loss on every pair that the teacher orders.

    ``mean over pairs with t_i > t_j of log(1 + exp(-(s_i - s_j)))`` (Burges et al., ICML 2005, eq. 3 with hard
    preferences). Pairs with equal targets are left out. Invariant to shifts of the scores.
    """

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        ordered = (targets[:, :, None] > targets[:, None, :]) & mask[:, :, None] & mask[:, None, :]
        return mean_per_question(softplus(scores[:, None, :] - scores[:, :, None]), ordered)
