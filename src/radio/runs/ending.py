"""A training that early stopping has ended is at its end, also for a command that goes on from it.

Lightning (2.6) notes the reason in a checkpoint and trains on all the same, an epoch for each time
that the command is repeated; and it takes the patience of the checkpoint, not that of the command.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason


def stoppers(trainer: L.Trainer) -> list[EarlyStopping]:
    """The callbacks that may end a training early."""
    return [one for one in trainer.early_stopping_callbacks if isinstance(one, EarlyStopping)]


def has_stopped(stopper: EarlyStopping) -> bool:
    """Whether it has found the end of the training."""
    return stopper.stopping_reason is not EarlyStoppingReason.NOT_STOPPED


def heed_patience(stoppers: Sequence[EarlyStopping], patience: Sequence[int]) -> None:
    """Put the command's patience in the place of that of a checkpoint, and judge by it what the
    checkpoint holds.

    Args:
        stoppers: as they are restored.
        patience: of each, as it was before that.
    """
    for stopper, given in zip(stoppers, patience, strict=True):
        changed = stopper.patience != given
        stopper.patience = given
        by_threshold = has_stopped(stopper) and (
            stopper.stopping_reason is not EarlyStoppingReason.PATIENCE_EXHAUSTED
        )
        if changed and not by_threshold:
            exhausted = stopper.wait_count >= given
            stopper.stopping_reason = (
                EarlyStoppingReason.PATIENCE_EXHAUSTED
                if exhausted
                else EarlyStoppingReason.NOT_STOPPED
            )


def why_stopped(trainer: L.Trainer) -> str | None:
    """Which early stopping has ended the training, and how to train on; None if none has."""
    for stopper in stoppers(trainer):
        if not has_stopped(stopper):
            continue
        if stopper.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED:
            return (
                f"{stopper.monitor} has not improved for {stopper.wait_count} of its checks, and "
                f"the patience of EarlyStopping is {stopper.patience}; to train on, raise it, or "
                "leave EarlyStopping out"
            )
        reason = stopper.stopping_reason.name.replace("_", " ").lower()
        return (
            f"EarlyStopping has ended the training by {stopper.monitor} ({reason}); to train on, "
            "leave it out"
        )
    return None
