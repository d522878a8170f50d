"""The one place where lists become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from radio.schema import Group, GroupBatch


def pad(rows: Sequence[Sequence[float]]) -> tuple[Tensor, Tensor]:
    """Ragged rows as float32 ``[B, G]`` (0 where padded) and their bool mask."""
    width = max((len(row) for row in rows), default=0)
    # whatever type new tensors have: 16 bits would round what the teacher said
    values = torch.zeros(len(rows), width, dtype=torch.float32)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        values[number, : len(row)] = torch.tensor(row, dtype=torch.float32)
        mask[number, : len(row)] = True
    return values, mask


def scatter(flat: Tensor, mask: Tensor) -> Tensor:
    """Flat scores ``[N]`` to fp32 ``[B, G]``, 0 where padded; gradients flow back to them."""
    empty = torch.zeros(mask.shape, dtype=torch.float32, device=flat.device)
    return empty.masked_scatter(mask, flat.float())


def group_batch(groups: Sequence[Group], inputs: dict[str, dict[str, Any]]) -> GroupBatch:
    """A batch from groups and the tokens that a reranker made of them."""
    teacher, mask = pad([group.teacher_scores for group in groups])
    return GroupBatch(
        inputs=inputs,
        teacher=teacher,
        mask=mask,
        question_ids=[group.question.id for group in groups],
        passage_ids=[[passage.id for passage in group.passages] for group in groups],
        weights=weights_of(groups),
    )


def weights_of(groups: Sequence[Group]) -> Tensor | None:
    """Weights of the questions, float32 ``[B]``; None where each is 1."""
    if all(group.weight == 1 for group in groups):
        return None
    return torch.tensor([group.weight for group in groups], dtype=torch.float32)
