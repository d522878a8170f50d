"""Listwise losses on distributions over a question's candidates, invariant to shifts."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from radio.losses.base import (
    Loss,
    contrasted,
    masked_log_softmax,
    mean_per_question,
    prepare,
    ranks,
    sum_per_question,
)
from radio.ranges import check
from radio.schema import InputError


class InfoNCE(Loss):
    """The published loss: the teacher's best candidate against the others of its group.

    ``-log(exp(s_p / T) / sum_j exp(s_j / T))`` with p the item of the highest target (van den Oord
    et al., arXiv 1807.03748, eq. 4; arXiv 2412.08519, section 3.3). With several positives the loss
    is the mean over them, each against all items (Khosla et al., arXiv 2004.11362, eq. 2). Targets
    that tie with the last positive are positives too; when all items are positives there is nothing
    to learn and the question does not count.

    Args:
        temperature: T > 0; smaller is sharper.
        positives: how many of the highest targets are positives, at least 1.
        label_smoothing: share of the positives' weight that all items divide among them, in [0, 1).
    """

    def __init__(
        self, temperature: float = 1.0, positives: int = 1, label_smoothing: float = 0.0
    ) -> None:
        check(self, locals())
        self.temperature = temperature
        self.positives = positives
        self.label_smoothing = label_smoothing

    @property
    def positives_taken(self) -> frozenset[int]:
        return frozenset({self.positives})

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        if not targets.shape[1]:
            return scores.sum()
        filled = targets.masked_fill(~mask, torch.finfo(targets.dtype).min)
        last = filled.topk(min(self.positives, targets.shape[1]), dim=1).values[:, -1:]
        positive = (filled >= last) & mask
        contrast = (mask & ~positive).any(dim=1, keepdim=True)
        surprise = -masked_log_softmax(scores / self.temperature, mask)
        loss = mean_per_question(surprise, positive & contrast, weights)
        if self.label_smoothing:
            everyone = mean_per_question(surprise, mask & contrast, weights)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * everyone
        return loss


class _Distribution(Loss):
    """A distance between the teacher's distribution and the softmax of the student.

    The teacher's is the softmax of its scores, or with ``teacher_temperature`` None the scores
    themselves divided by their sum over the group, ``p_i = t_i / sum_j t_j``, for scores that are
    proportional to probabilities already, as those of a perplexity or of a blend by softmax. Then a
    group whose targets are all 0 says nothing and does not count.
    """

    def __init__(self, temperature: float = 1.0, teacher_temperature: float | None = 1.0) -> None:
        check(self, locals())
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature

    def _logs(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities of student and teacher ``[B, G]``, and items that have another.

        The logarithm of a probability that is 0 is a large finite number, which 0 times is 0.
        """
        scores, targets, mask = prepare(scores, targets, mask)
        student = masked_log_softmax(scores / self.temperature, mask)
        valid = mask & (mask.sum(dim=1, keepdim=True) > 1)
        if self.teacher_temperature is not None:
            return student, masked_log_softmax(targets / self.teacher_temperature, mask), valid
        # teacher scores may be below 0 by rounding
        targets = targets.clamp(min=0)
        total = targets.sum(1, keepdim=True)
        share = targets / total.clamp(min=torch.finfo(targets.dtype).tiny)
        lowest = torch.full_like(share, math.log(torch.finfo(share.dtype).tiny))
        logs = torch.where(share > 0, share.log(), 2 * lowest)
        return student, torch.where(mask, logs, torch.zeros_like(logs)), valid & (total > 0)


class ListNet(_Distribution):
    """Cross-entropy between the teacher's and the student's softmax over the list.

    ``-sum_i p_i log q_i``, ``p = softmax(t / T_t)``, ``q = softmax(s / T_s)`` (Cao et al., ICML
    2007, eq. 5, top-one probabilities). Its gradient is that of KL(teacher || student). A list of
    one item carries no information and does not count.

    Args:
        temperature: T_s > 0 of the student.
        teacher_temperature: T_t > 0 of the teacher; targets lie in [0, 1], so 1 is almost flat and
            0.1 is peaked. None takes the targets themselves, divided by their sum; a list of which
            all are 0 does not count then.
    """

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        student, teacher, valid = self._logs(scores, targets, mask)
        return sum_per_question(-teacher.exp() * student, valid, weights)


class KLDivergence(_Distribution):
    """Kullback-Leibler divergence between teacher p and student q over the list: 0 when they agree.

    Forward ``sum_i p_i log(p_i / q_i)`` covers all that the teacher likes; reverse ``sum_i q_i
    log(q_i / p_i)`` keeps away from what it dislikes (Hinton et al., arXiv 1503.02531, section 2;
    Gu et al., arXiv 2306.08543, eq. 1). Not multiplied by the temperatures' product: weigh it where
    it is mixed with another loss.

    Args:
        temperature: T_s > 0 of the student's softmax.
        teacher_temperature: T_t > 0 of the teacher's softmax; None takes the targets themselves,
            divided by their sum (with ``forward`` alone); a list of which all are 0 does not count
            then.
        direction: ``forward`` is KL(teacher || student), ``reverse`` KL(student || teacher).
    """

    def __init__(
        self,
        temperature: float = 1.0,
        teacher_temperature: float | None = 1.0,
        direction: Literal["forward", "reverse"] = "forward",
    ) -> None:
        super().__init__(temperature, teacher_temperature)
        self.direction = direction
        if direction not in ("forward", "reverse"):
            raise InputError(
                f"KLDivergence: direction: found {direction!r}, expected 'forward' or 'reverse'"
            )
        if direction == "reverse" and teacher_temperature is None:
            raise InputError(
                "KLDivergence: teacher_temperature: found null with direction 'reverse', which is "
                "infinite where a target is 0; expected a number, or direction 'forward'"
            )

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        student, teacher, valid = self._logs(scores, targets, mask)
        first, second = (teacher, student) if self.direction == "forward" else (student, teacher)
        return sum_per_question(first.exp() * (first - second), valid, weights)


class JensenShannon(_Distribution):
    """Jensen-Shannon divergence between teacher p and student q: symmetric, at most log 2.

    ``KL(p || m) / 2 + KL(q || m) / 2`` with ``m = (p + q) / 2`` (Lin, IEEE Trans. Inf. Theory 37,
    1991, eq. 4.1). A teacher that is far off pulls with bounded force.

    Args:
        temperature: T_s > 0 of the student's softmax.
        teacher_temperature: T_t > 0 of the teacher's softmax; None takes the targets themselves,
            divided by their sum; a list of which all are 0 does not count then.
    """

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        student, teacher, valid = self._logs(scores, targets, mask)
        middle = torch.logaddexp(student, teacher) - math.log(2)
        apart = teacher.exp() * (teacher - middle) + student.exp() * (student - middle)
        return 0.5 * sum_per_question(apart, valid, weights)


class ListMLE(Loss):
    """Negative log-likelihood of the teacher's order under the Plackett-Luce model of the student.

    ``-sum_i log(exp(s_i) / sum_{j: t_j <= t_i} exp(s_j))``: each item against itself and those not
    above it (Xia et al., ICML 2008, eq. 7). Items with equal targets are all compared with the same
    set, Breslow's rule for tied events in the same likelihood (Biometrics 30, 1974), so that no
    arbitrary order among them is learned. A question in which all items tie does not count.
    """

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        valid = contrasted(targets, mask)
        surprise = _surprise(scores, targets, mask)
        return sum_per_question(surprise * self._by_place(targets, valid), valid, weights)

    def _by_place(self, targets: Tensor, valid: Tensor) -> Tensor:
        return torch.ones_like(targets)


class PListMLE(ListMLE):
    """ListMLE with position weights: the top of the order matters most.

    Item i of the teacher's order has weight ``2^(n - i) - 1`` (Lan et al., UAI 2014, eq. 8),
    divided by the sum of the weights, so that the value does not grow with the length n of the
    list. Items with equal targets share the mean of the weights of their positions.
    """

    def _by_place(self, targets: Tensor, valid: Tensor) -> Tensor:
        length = targets.shape[1]
        place = torch.arange(1, length + 1, device=targets.device, dtype=targets.dtype)
        n = valid.sum(1, keepdim=True)
        # 2^-i - 2^-n is proportional to 2^(n - i) - 1 and can not overflow
        by_place = torch.where(
            place <= n, torch.exp2(-place) - torch.exp2(-n.to(targets.dtype)), 0.0
        )
        by_place = by_place / by_place.sum(1, keepdim=True).clamp(
            min=torch.finfo(targets.dtype).tiny
        )
        total = torch.cat([torch.zeros_like(by_place[:, :1]), by_place.cumsum(1)], dim=1)
        # the block of an item's ties spans the places first+1 .. first+size
        size = (
            ((targets[:, :, None] == targets[:, None, :]) & valid[:, None, :]).sum(2).clamp(min=1)
        )
        first = (ranks(targets, valid) - (size - 1) / 2 - 1).round().long().clamp(0, length)
        return (total.gather(1, (first + size).clamp(max=length)) - total.gather(1, first)) / size


def _surprise(scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """``log sum_{j: t_j <= t_i} exp(s_j) - s_i`` for each item, ``[B, G]``; not below 0."""
    rivals = (targets[:, None, :] <= targets[:, :, None]) & mask[:, None, :]
    filled = scores[:, None, :].masked_fill(~rivals, torch.finfo(scores.dtype).min)
    return filled.logsumexp(dim=2) - scores
