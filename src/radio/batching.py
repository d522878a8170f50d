"""The one place where lists become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from radio.schema import Group, GroupBatch


def pad(rows: Sequence[Sequence[float]]) -> tuple[Tensor, Tensor]:
    """Ragged rows as float32 ``[B, G]`` (0 where padded) and their bool mask."""
    width = max((len(row) for row in rows), default=0)
    # whatever type new tensors have: 16 bits would round what the teacher said
    values = torch.zeros(len(rows), width, dtype=torch.float32)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        values[i, : len(row)] = torch.tensor(row, dtype=torch.float32)
        mask[i, : len(row)] = True
    return values, mask


def scatter(flat: Tensor, mask: Tensor) -> Tensor:
    """Flat scores ``[N]`` to fp32 ``[B, G]``, 0 where padded; gradients flow back to the flat
    scores."""
    return torch.zeros(mask.shape, dtype=torch.float32, device=flat.device).masked_scatter(
        mask, flat.float()
    )


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows ``[T, dim]`` of different lengths as ``[N, T, dim]``, 0 where padded, and their bool
    mask ``[N, T]``."""
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    return pad_sequence(list(rows), batch_first=True), mask.to(rows[0].device)


def max_similarity(
    questions: Tensor, passages: Tensor, kept: Tensor, question: Tensor, passage: Tensor
) -> Tensor:
    """For each token of the question, the largest cosine with a token of the passage (Khattab and
    Zaharia, eq. 3).

    Args:
        questions: unit vectors ``[Q, T, dim]``.
        passages: unit vectors ``[P, S, dim]``.
        kept: tokens of the passages that take part, bool ``[P, S]``.
        question: row of ``questions`` for each of N pairs.
        passage: row of ``passages`` for each of them.

    Returns:
        ``[N, T]``, fp32.
    """
    parts = []
    # sums of 16-bit products would make ties
    with torch.autocast(questions.device.type, enabled=False):
        # a part at a time: the vectors of a passage are copied for each of its pairs
        for asked, read in zip(torch.split(question, 256), torch.split(passage, 256), strict=True):
            cosines = questions[asked].float() @ passages[read].float().transpose(1, 2)
            # no cosine is below -1
            parts.append(cosines.masked_fill(~kept[read, None], -1.0).amax(dim=2))
    return torch.cat(parts)


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
