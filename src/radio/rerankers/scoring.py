"""Scores of a trained reranker outside of Lightning's loops, as an evaluation computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from radio.models.exported import exported_class
from radio.rerankers import exports, random_weights
from radio.rerankers.base import Reranker
from radio.rerankers.contracts import check_batch
from radio.schema import Group, GroupBatch


def load(reranker: Reranker, device: str | torch.device) -> None:
    """Give a reranker its weights, in evaluation mode.

    Raises:
        InputError: some of them are in no file and would be random.
    """
    if exports.is_own(reranker) and not exported_class(reranker.model):
        random_weights.refuse(reranker, exports.drawn_weights(reranker))
    reranker.configure_model()
    # as Lightning does where scores are compared: a random head is refused
    reranker.on_predict_start()
    reranker.to(device).eval()


def scores_of(
    reranker: Reranker,
    collate: Callable[[Sequence[Group]], GroupBatch],
    groups: Sequence[Group],
) -> list[list[float]]:
    """Scores of the passages of each group, computed as one batch.

    Args:
        reranker: with its weights, see :func:`load`; ``index`` knows the passages.
        collate: makes its batches, see :meth:`Reranker.collator`.
        groups: with any number of passages each.
    """
    batch = check_batch(type(reranker), groups, collate(groups))
    with torch.no_grad(), reranker.evaluating():
        placed = reranker.transfer_batch_to_device(batch, reranker.device, 0)
        rows = reranker(placed).tolist()
    return [row[: len(group.passages)] for row, group in zip(rows, groups, strict=True)]
