"""Listwise losses: all candidates of one question together."""

from __future__ import annotations

import torch
from torch import Tensor

from radio.losses.base import Loss, masked_log_softmax, mean_per_question, prepare
from radio.schema import InputError


class InfoNCE(Loss):
    """The published loss: the teacher's best candidate against the others of its group.

    ``-log(exp(s_p / T) / sum_j exp(s_j / T))`` with p the item of the highest target (van den Oord et al., arXiv
    1807.03748, eq. 4; arXiv 2412.08519, section 3.3). Targets that tie for the highest are all positives, and the
    loss is the mean over them; when all items tie there is nothing to learn and the question does not count.

    Args:
        temperature: T > 0; smaller is sharper.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        if temperature <= 0:
            raise InputError(f"InfoNCE: temperature: found {temperature}, expected a number above 0")
        self.temperature = temperature

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        lowest = torch.finfo(targets.dtype).min
        best = targets.masked_fill(~mask, lowest).amax(dim=1, keepdim=True) if targets.shape[1] else targets
        positive = (targets == best) & mask
        contrast = (mask & ~positive).any(dim=1, keepdim=True)
        return mean_per_question(-masked_log_softmax(scores / self.temperature, mask), positive & contrast)


class ListNet(Loss):
    """Cross-entropy between the teacher's and the student's softmax over the list.

    ``-sum_i softmax(t / T_t)_i log softmax(s / T_s)_i`` (Cao et al., ICML 2007, eq. 5, top-one probabilities). Its
    gradient is that of KL(teacher || student). A list of one item carries no information and does not count.

    Args:
        temperature: T_s > 0 of the student.
        teacher_temperature: T_t > 0 of the teacher; targets lie in [0, 1], so 1 is almost flat and 0.1 is peaked.
    """

    def __init__(self, temperature: float = 1.0, teacher_temperature: float = 1.0) -> None:
        if temperature <= 0 or teacher_temperature <= 0:
            raise InputError(f"ListNet: found temperatures {temperature}, {teacher_temperature}, expected above 0")
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        scores, targets, mask = prepare(scores, targets, mask)
        teacher = masked_log_softmax(targets / self.teacher_temperature, mask).exp() * mask
        cross = -(teacher * masked_log_softmax(scores / self.temperature, mask)).sum(dim=1, keepdim=True)
        return mean_per_question(cross, mask.sum(dim=1, keepdim=True) > 1)
