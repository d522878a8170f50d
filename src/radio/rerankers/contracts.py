"""What a user's reranker must return, checked where it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from radio.batching import weights_of
from radio.contracts import described, refuse
from radio.schema import Group, GroupBatch

if TYPE_CHECKING:
    from torch import Tensor, nn


def check_network(reranker: object, found: object) -> nn.Module:
    """What :meth:`radio.rerankers.Reranker.build` returned."""
    from torch import nn

    if not isinstance(found, nn.Module):
        refuse(reranker, "build", described(found), "a torch.nn.Module")
    return found


def check_batch(reranker: object, groups: Sequence[Group], found: object) -> GroupBatch:
    """What :meth:`radio.rerankers.Reranker.collate` made of these groups, in their order."""
    import torch

    if not isinstance(found, GroupBatch):
        refuse(
            reranker,
            "collate",
            described(found),
            "a GroupBatch (radio.batching.group_batch makes one)",
        )
    questions = [group.question.id for group in groups]
    if found.question_ids != questions:
        refuse(
            reranker,
            "collate",
            f"question_ids {found.question_ids[:5]}",
            f"those of the groups: {questions[:5]}",
        )
    passages = [[passage.id for passage in group.passages] for group in groups]
    for question, mine, theirs in zip(questions, passages, found.passage_ids, strict=False):
        if list(theirs) != mine:
            where = f"passage_ids {list(theirs)[:5]} of question {question!r}"
            refuse(reranker, "collate", where, f"those of its group, in their order: {mine[:5]}")
    if len(found.passage_ids) != len(groups):
        refuse(
            reranker,
            "collate",
            f"passage_ids of {len(found.passage_ids)} groups",
            f"those of {len(groups)}",
        )
    width = max(map(len, passages), default=0)
    lengths = torch.tensor([len(row) for row in passages], dtype=torch.long)
    mask = torch.arange(width) < lengths[:, None]
    if found.mask.shape != mask.shape or not torch.equal(found.mask.cpu().bool(), mask):
        shape = f"a mask {list(found.mask.shape)} with {int(found.mask.sum())} passages"
        refuse(
            reranker,
            "collate",
            shape,
            f"{list(mask.shape)} with {int(mask.sum())}, each row filled from the left",
        )
    taught = torch.tensor(
        [score for group in groups for score in group.teacher_scores], dtype=torch.float32
    )
    if found.teacher.shape != mask.shape or not torch.allclose(
        found.teacher.cpu()[mask], taught, equal_nan=True
    ):
        refuse(
            reranker,
            "collate",
            "other teacher scores than the groups have",
            "theirs, in the places of the mask",
        )
    weights, expected = found.weights, weights_of(groups)
    if expected is not None and (weights is None or not torch.equal(weights.cpu(), expected)):
        refuse(
            reranker,
            "collate",
            f"weights {described(weights)}",
            "those of the groups (radio.batching.group_batch takes them over)",
        )
    return found


def check_scores(reranker: nn.Module, found: object, pairs: int) -> Tensor:
    """What :meth:`radio.rerankers.Reranker.score` returned for a batch of so many pairs."""
    import torch

    expected = f"a tensor [{pairs}] of floats, one for each pair"
    if not isinstance(found, torch.Tensor):
        refuse(reranker, "score", described(found), expected)
    if found.shape != (pairs,):
        refuse(reranker, "score", f"a tensor {list(found.shape)}", expected)
    if not found.is_floating_point():
        refuse(reranker, "score", f"a tensor of {found.dtype}", expected)
    learns = reranker.training and torch.is_grad_enabled()
    if learns and not found.requires_grad and any(p.requires_grad for p in reranker.parameters()):
        refuse(
            reranker,
            "score",
            "scores that are cut off from the weights",
            "scores with a gradient (no detach())",
        )
    return found
