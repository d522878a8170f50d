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
    values = torch.zeros(len(rows), width)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        values[i, : len(row)] = torch.tensor(row, dtype=torch.float32)
        mask[i, : len(row)] = True
    return values, mask


def scatter(flat: Tensor, mask: Tensor) -> Tensor:
    """Flat scores ``[N]`` to fp32 ``[B, G]``, 0 where padded; gradients flow back to the flat scores."""
    return torch.zeros(mask.shape, dtype=torch.float32, device=flat.device).masked_scatter(mask, flat.float())


def group_batch(groups: Sequence[Group], inputs: dict[str, dict[str, Any]]) -> GroupBatch:
    """A batch from groups and the tokens that a reranker made of them."""
    teacher, mask = pad([g.teacher_scores for g in groups])
    labels, _ = pad([g.labels for g in groups])
    return GroupBatch(
        inputs=inputs,
        teacher=teacher,
        labels=labels,
        mask=mask,
        question_ids=[g.question.id for g in groups],
        passage_ids=[[p.id for p in g.passages] for g in groups],
    )
