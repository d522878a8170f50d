"""Listwise losses that bound or approximate a ranking metric, invariant to shifts."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import softplus

from radio.losses.base import (
    Loss,
    both,
    contrasted,
    gain_and_ideal,
    gaps,
    ordered,
    prepare,
    ranks,
    soft_ranks,
    sum_per_question,
)
from radio.ranges import check
from radio.schema import InputError

Weighting = Literal["ndcg_loss1", "ndcg_loss2", "ndcg_loss2++", "lambda_rank", "none"]


class LambdaLoss(Loss):
    """Pairwise logistic losses, weighted by what a swap would cost in NDCG.

    ``sum over pairs of w_ij log2(1 + exp(-sigma (s_i - s_j)))`` (Wang et al., CIKM 2018). With
    ranks r of the current scores, gains ``G = (2^t - 1) / maxDCG@k`` and discounts ``D(r) = log2(1
    + r)``, the weights are

    - ``ndcg_loss1``: ``G_i / D(r_i)``, over all pairs;
    - ``ndcg_loss2``: ``|G_i - G_j| d_ij``, ``d_ij = |1 / D(|r_i - r_j|) - 1 / D(|r_i - r_j| +
      1)|``;
    - ``lambda_rank`` (Burges et al., NIPS 2006): ``|G_i - G_j| |1 / D(r_i) - 1 / D(r_j)|``;
    - ``ndcg_loss2++``: ``|G_i - G_j| (|1 / D(r_i) - 1 / D(r_j)| + mu d_ij)``;
    - ``none``: 1;

    the last four over pairs with ``t_i > t_j``. Weights carry no gradient. Equal scores share the
    mean of their ranks, so that the value does not depend on the order of the items; two items are
    at least one rank apart in d.

    Args:
        weighting: see above.
        sigma: steepness, > 0; scaling scores by c is the same as scaling sigma by c, except in the
            ranks.
        mu: weight of the second part of ``ndcg_loss2++`` (published: 10).
        k: only pairs with at least one item among the first k ranks, those that move NDCG@k; None
            takes all.
    """

    def __init__(
        self,
        weighting: Weighting = "ndcg_loss2++",
        sigma: float = 1.0,
        mu: float = 10.0,
        k: int | None = None,
    ) -> None:
        check(self, locals())
        self.weighting = weighting
        self.sigma = sigma
        self.mu = mu
        self.k = k
        if weighting not in get_args(Weighting):
            raise InputError(
                f"LambdaLoss: weighting: found {weighting!r}, expected one of {get_args(Weighting)}"
            )

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        wrong = softplus(-self.sigma * gaps(scores)) / torch.log(
            torch.full_like(scores[:1, :1, None], 2.0)
        )
        place = ranks(scores.detach(), mask)
        valid = ordered(targets, mask)
        if self.weighting == "ndcg_loss1":
            valid = both(mask) & valid.flatten(1).any(1)[:, None, None]
        if self.k is not None:
            # equal scores could stand on the best of the ranks that they share
            tied = ((scores[:, :, None] == scores[:, None, :]) & both(mask)).sum(2)
            inside = place - tied / 2 <= self.k
            valid = valid & (inside[:, :, None] | inside[:, None, :])
        return sum_per_question(self._weights(targets, mask, place) * wrong, valid, weights)

    def _weights(self, targets: Tensor, mask: Tensor, place: Tensor) -> Tensor:
        gains, ideal = gain_and_ideal(targets, mask, self.k)
        gains = gains / ideal
        discount = 1 / torch.log2(1 + place)
        if self.weighting == "none":
            return torch.ones_like(gaps(gains))
        if self.weighting == "ndcg_loss1":
            return (gains * discount)[:, :, None].expand(-1, -1, place.shape[1])
        swap = gaps(discount).abs()
        apart = gaps(place).abs().clamp(min=1)
        step = 1 / torch.log2(1 + apart) - 1 / torch.log2(2 + apart)
        weights = {"ndcg_loss2": step, "lambda_rank": swap, "ndcg_loss2++": swap + self.mu * step}
        return gaps(gains).abs() * weights[self.weighting]


class ApproxNDCG(Loss):
    """1 - NDCG with differentiable ranks.

    ``1 - sum_i (2^t_i - 1) / log2(1 + r_i) / maxDCG`` with ``r_i = 1 + sum_j sigmoid((s_j - s_i) /
    T)`` (Qin et al., Information Retrieval 13, 2010; T = 1 / alpha). Lies in [0, 1). A question in
    which all targets tie does not count.

    Args:
        temperature: T > 0; as it falls the value tends to 1 - NDCG and the gradient vanishes.
            Scaling scores and T together changes nothing.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        check(self, locals())
        self.temperature = temperature

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        gains, ideal = gain_and_ideal(targets, mask)
        dcg = (gains / torch.log2(1 + soft_ranks(scores, mask, self.temperature))).sum(
            1, keepdim=True
        )
        counts = contrasted(targets, mask).any(1, keepdim=True)
        return sum_per_question(1 - dcg / ideal, counts, weights)


class NeuralNDCG(Loss):
    """1 - NDCG of the list as a relaxed sort orders it.

    The row-softmax ``P_i = softmax_j(((n + 1 - 2i) s_j - sum_k |s_j - s_k|) / T)`` relaxes the
    permutation that sorts the scores (Grover et al., ICLR 2019, eq. 5); Sinkhorn scaling makes its
    columns sum to one as well; the gains that it brings to each position are discounted as in NDCG
    (Pobrotyn & Białobrzeski, arXiv 2102.07831). Scaling scores and T together changes nothing. A
    question in which all targets tie does not count.

    Args:
        temperature: T > 0; as it falls the value tends to 1 - NDCG.
        iterations: of Sinkhorn scaling, fixed in number so that a question does not depend on its
            batch.
    """

    def __init__(self, temperature: float = 1.0, iterations: int = 30) -> None:
        check(self, locals())
        self.temperature = temperature
        self.iterations = iterations

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        gains, ideal = gain_and_ideal(targets, mask)
        place = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
        length = mask.sum(1)[:, None]
        used = place <= length
        pairs = used[:, :, None] & mask[:, None, :]
        spread = torch.where(both(mask), gaps(scores).abs(), torch.zeros_like(gaps(scores))).sum(1)
        logs = (length + 1 - 2 * place)[:, :, None] * scores[:, None, :] - spread[:, None, :]
        logs = (logs / self.temperature).masked_fill(~pairs, torch.finfo(scores.dtype).min / 4)
        for _ in range(self.iterations):
            logs = logs - torch.where(used[:, :, None], logs.logsumexp(2, keepdim=True), 0.0)
            logs = logs - torch.where(mask[:, None, :], logs.logsumexp(1, keepdim=True), 0.0)
        moved = (torch.where(pairs, logs.exp(), torch.zeros_like(logs)) * gains[:, None, :]).sum(2)
        dcg = (moved / torch.log2(1 + place)).sum(1, keepdim=True)
        counts = contrasted(targets, mask).any(1, keepdim=True)
        return sum_per_question(1 - dcg / ideal, counts, weights)


class ADRMSE(Loss):
    """Squared error of differentiable ranks, discounted by the teacher's rank.

    ``1 / n sum_i (r_i - q_i)^2 / log2(1 + r_i)`` with r the rank of item i in the teacher's order
    (ties share their mean) and ``q_i = 1 + sum_j sigmoid((s_j - s_i) / T)`` (Schlatt et al.,
    Rank-DistiLLM, arXiv 2405.07920). Scaling scores and T together changes nothing. A question in
    which all targets tie does not count.

    Args:
        temperature: T > 0 of the soft ranks.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        check(self, locals())
        self.temperature = temperature

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        wanted = ranks(targets, mask)
        error = (wanted - soft_ranks(scores, mask, self.temperature)).square() / torch.log2(
            1 + wanted
        )
        valid = contrasted(targets, mask)
        return sum_per_question(error / valid.sum(1, keepdim=True).clamp(min=1), valid, weights)
