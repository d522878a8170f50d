"""Pairwise losses: two candidates of one question. All are invariant to shifts of the scores."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from radio.losses.base import (
    Loss,
    both,
    gaps,
    mean_per_question,
    ordered,
    prepare,
    sum_per_question,
)
from radio.ranges import check
from radio.schema import InputError


class RankNet(Loss):
    """Logistic loss on pairs: the hard order of the teacher, or its probability of each order.

    Hard: ``mean over pairs with t_i > t_j of log(1 + exp(-(s_i - s_j)))`` (Burges et al., ICML
    2005, eq. 3); pairs with equal targets are left out. Soft: cross-entropy with ``P_ij =
    sigmoid((t_i - t_j) / T_t)`` over all pairs.

    Args:
        teacher_temperature: T_t > 0 of the soft form; None is the hard one.
    """

    def __init__(self, teacher_temperature: float | None = None) -> None:
        check(self, locals())
        self.teacher_temperature = teacher_temperature

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        wrong = softplus(-gaps(scores))
        if self.teacher_temperature is None:
            return mean_per_question(wrong, ordered(targets, mask), weights)
        # every pair stands here twice, as (i, j) with P_ij and as (j, i) with 1 - P_ij; the mean of
        # the doubled list is half of the cross-entropy
        probability = torch.sigmoid(gaps(targets) / self.teacher_temperature)
        return 2 * mean_per_question(probability * wrong, both(mask), weights)


class MarginMSE(Loss):
    """The student's margin between two candidates learns to equal the teacher's.

    ``mean over pairs of ((s_i - s_j) - (t_i - t_j))^2`` (Hofstätter et al., arXiv 2010.02666,
    section 4).

    Args:
        pairs: ``all`` that the teacher orders, or ``best``: the teacher's best against each other
            one; in the paper the passage judged relevant takes its place.
        scale: of the teacher's margins, > 0: targets lie in [0, 1], a reranker's scores spread
            further.
    """

    def __init__(self, pairs: Literal["all", "best"] = "all", scale: float = 1.0) -> None:
        check(self, locals())
        self.pairs = pairs
        self.scale = scale
        if pairs not in ("all", "best"):
            raise InputError(f"MarginMSE: pairs: found {pairs!r}, expected 'all' or 'best'")

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        pairs = ordered(targets, mask)
        if self.pairs == "best":
            # nothing stands above the best
            pairs = pairs & ~pairs.any(dim=1)[:, :, None]
        apart = gaps(scores) - self.scale * gaps(targets)
        return mean_per_question(apart.square(), pairs, weights)


class PairwiseHinge(Loss):
    """The better candidate is to lead by a margin.

    ``mean over pairs with t_i - t_j > threshold of max(0, margin - (s_i - s_j))`` (Herbrich et al.,
    2000; Joachims, KDD 2002).

    Args:
        margin: lead that costs nothing, > 0.
        threshold: pairs that the teacher separates by no more than this are left out.
    """

    def __init__(self, margin: float = 1.0, threshold: float = 0.0) -> None:
        check(self, locals())
        self.margin = margin
        self.threshold = threshold

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        pairs = ordered(targets, mask) & (gaps(targets) > self.threshold)
        return mean_per_question(relu(self.margin - gaps(scores)), pairs, weights)


class PairwiseLogistic(Loss):
    """RankNet on the pairs of which the teacher is sure, each weighted by how sure it is.

    ``sum of w_ij log(1 + exp(-(s_i - s_j) / T)) / sum of w_ij`` over pairs with ``t_i - t_j >
    threshold``, where ``w_ij = t_i - t_j`` (Burges et al., ICML 2005, eq. 3; the weights are those
    of ARP-Loss2 in Wang et al., CIKM 2018, normalised).

    Args:
        temperature: T > 0.
        threshold: pairs that the teacher separates by no more than this are left out.
        weighted: False gives all pairs the same weight.
    """

    def __init__(
        self, temperature: float = 1.0, threshold: float = 0.0, weighted: bool = True
    ) -> None:
        check(self, locals())
        self.temperature = temperature
        self.threshold = threshold
        self.weighted = weighted

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        gap = gaps(targets)
        pairs = ordered(targets, mask) & (gap > self.threshold)
        sure = torch.where(
            pairs, gap if self.weighted else torch.ones_like(gap), torch.zeros_like(gap)
        )
        total = sure.sum((1, 2), keepdim=True).clamp(min=torch.finfo(gap.dtype).tiny)
        wrong = softplus(-gaps(scores) / self.temperature)
        return sum_per_question(sure / total * wrong, pairs, weights)
