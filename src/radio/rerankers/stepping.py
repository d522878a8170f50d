"""The loss of a training step: over the questions of all processes, as one process has it that
trains on all of them in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from radio import contracts
from radio.losses.base import loss_of
from radio.processes import process_count, process_number, rows_of_all, stopping_together
from radio.rerankers import finite
from radio.schema import GroupBatch

if TYPE_CHECKING:
    from radio.rerankers import Reranker


def loss_of_step(module: Reranker, scores: Tensor, batch: GroupBatch, batch_idx: int) -> Tensor:
    """The loss of a step; all processes must call it, and all get the same value.

    A loss may compare questions with each other, weigh them, and leave out those that have nothing
    to compare: the mean of the processes' losses would be another number than that of one process.
    So each has the scores of all, a few numbers for each question, and computes the loss of all.

    Args:
        module: the reranker.
        scores: ``[B, G]`` of this process.
        batch: of this process.
        batch_idx: number of the batch in its epoch.

    Raises:
        InputError: the loss is NaN or infinite.
    """
    of_all, teacher, mask, weights = _of_all(module, scores, batch, batch_idx)
    with stopping_together(module.device):
        value = loss_of(module.loss, of_all, teacher, mask, weights)
        loss = contracts.loss(module.loss, value, of_all)
        finite.check_loss(module, batch, loss, scores)
    if weights is not None and not weights.any():
        _warn_of_weights(module)
    return loss


def _of_all(
    module: Reranker, scores: Tensor, batch: GroupBatch, batch_idx: int
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Scores, targets and mask ``[B, G]``, and weights ``[B]``, of the questions of all processes.

    Gradients flow to the scores of this process alone. They are multiplied with the number of
    processes, since the mean over these is what becomes of the gradients of the weights.
    """
    count = process_count()
    if count == 1:
        return scores, batch.teacher, batch.mask, batch.weights
    mask = batch.mask.clone()
    if _ends_with_a_repeat(module, batch_idx):
        # another process has this question: here it is padding
        last = batch.question_ids[-1]
        mask[[identifier == last for identifier in batch.question_ids]] = False
    weights = mask.new_ones(len(mask), dtype=torch.float32)
    if batch.weights is not None:
        weights = batch.weights.float()
    columns = scores.detach(), batch.teacher, mask.float(), weights[:, None].expand_as(scores)
    parts = rows_of_all(torch.stack(columns))
    own, number = scores, process_number()
    width = parts[number].shape[2] - own.shape[1]
    grown = nn.functional.pad(own.detach() + count * (own - own.detach()), (0, width))
    of_all = [part[0] for part in parts]
    of_all[number] = grown
    _, teacher, masks, together = torch.cat(parts, dim=1)
    # a question may be narrower than all others: its weight stands in the first column
    found = together[:, 0]
    everywhere_one = bool((found == 1).all())
    return torch.cat(of_all), teacher, masks.bool(), None if everywhere_one else found


def _ends_with_a_repeat(module: Reranker, batch_idx: int) -> bool:
    """Whether the last question of a training batch only fills up the share of this process."""
    ends = getattr(module.trainer.train_dataloader, "ends_with_a_repeat", None)
    return ends is not None and ends(batch_idx)


def is_repeat(loader: object, batch_idx: int) -> bool:
    """Whether a batch of an evaluation only fills up the share of this process."""
    repeated = getattr(getattr(loader, "sampler", None), "is_repeat", None)
    return repeated is not None and repeated(batch_idx)


def _warn_of_weights(module: Reranker) -> None:
    """Say once that a batch teaches nothing, since all its questions weigh 0."""
    if not module.weightless:
        module.weightless = True
        rank_zero_warn(
            "train: all questions of a batch weigh 0, it teaches nothing; larger batches "
            "(data.init_args.batch_size) or another confidence help"
        )
