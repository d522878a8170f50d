"""Where in its epochs a checkpoint stands, so that Lightning goes on at that very place.

Lightning (2.6) takes a checkpoint that is written after a batch for one whose validation is done,
and goes on without it: an epoch has no figures, and perhaps no best checkpoint. What is written
here into the progress of its loops makes it begin that validation. None of that is its documented
interface: tests/runs/test_progress.py stops runs at every moment.
"""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.loops.loop import _Loop

BATCHES = "epoch_loop.batch_progress"
VALIDATION = "epoch_loop.val_loop.batch_progress"
LOOP = "epoch_loop.state_dict"


def correct(trainer: L.Trainer, loops: dict[str, Any]) -> bool:
    """Correct the progress in a checkpoint that is being written.

    Args:
        trainer: that writes it.
        loops: their progress, in the checkpoint; changed in place.

    Returns:
        Whether the run goes on from it with a validation.
    """
    if trainer.state.fn != "fit" or trainer.sanity_checking:
        return False
    progress = loops["fit_loop"]
    if trainer.validating:
        due = not _is_validated(progress)
    else:
        due = _correct_training(trainer, progress)
    if due:
        _begin_validation_anew(progress)
    return due


def _correct_training(trainer: L.Trainer, progress: dict[str, Any]) -> bool:
    """The same for a checkpoint that no validation writes."""
    if not validates_after_batch(trainer):
        return False
    if is_within_batch(trainer):
        return True
    if not _is_epoch_done(progress):
        # nothing of this batch is left, and Lightning would count it twice
        progress[LOOP]["_batches_that_stepped"] -= 1
    return False


def leave_epoch(trainer: L.Trainer) -> None:
    """Begin the next epoch if the checkpoint that was restored stands at the end of one.

    Lightning does so without ``max_steps``. With it the loop goes back into the epoch, and ends it
    once more: a second check of early stopping, say, without the figures that it is about.
    """
    loop = trainer.fit_loop
    current: Any = loop.epoch_progress.current
    if loop.restarting and current.ready == current.started == current.processed:
        # its own setter says True wherever there are max_steps
        _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]
    if trainer.should_stop and loop._can_stop_early:
        # nothing is trained: the present epoch is that of the checkpoint
        current.completed = current.processed


def is_within_batch(trainer: L.Trainer) -> bool:
    """Whether ``on_train_batch_end`` is being called."""
    total: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return bool(total.completed == total.processed - 1)


def stands_between_steps(trainer: L.Trainer) -> bool:
    """Whether a checkpoint of training can be written here: a batch was trained on in this epoch,
    and no gradient waits for the next one."""
    loop = trainer.fit_loop.epoch_loop
    begun = trainer.state.fn == "fit" and not trainer.sanity_checking
    return bool(
        begun
        and loop.batch_progress.current.ready
        and loop.batch_progress.total.completed == loop.batch_progress.total.ready
        and not trainer.fit_loop._should_accumulate()
    )


def validates_after_batch(trainer: L.Trainer) -> bool:
    """Whether a validation belongs to the batch that was trained on last."""
    loop = trainer.fit_loop.epoch_loop
    if not loop.batch_progress.current.ready:
        return False
    fetcher: Any = trainer.fit_loop._data_fetcher
    return loop._should_check_val_fx(fetcher)


def _is_validated(progress: dict[str, Any]) -> bool:
    """Whether the validation that is running has seen all its batches."""
    total = progress[VALIDATION]["total"]
    return bool(progress[VALIDATION]["is_last_batch"] and total["ready"] == total["completed"])


def _is_epoch_done(progress: dict[str, Any]) -> bool:
    current = progress["epoch_progress"]["current"]
    return bool(current["processed"] == current["ready"])


def _begin_validation_anew(progress: dict[str, Any]) -> None:
    """All is done with the batch, and the first batch of the validation was begun: from there
    Lightning goes on with the validation."""
    for counts in (progress[BATCHES]["total"], progress[BATCHES]["current"]):
        counts["completed"] = counts["processed"]
    for counts in (progress[VALIDATION]["total"], progress[VALIDATION]["current"]):
        counts.update(ready=1, started=1, processed=0, completed=0)
    progress[VALIDATION]["is_last_batch"] = False


def take_back_begun_batch(trainer: L.Trainer) -> None:
    """As the validation begins that :func:`correct` has asked for: no batch of it was begun."""
    trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset()


def is_validation_due(loops: dict[str, Any]) -> bool:
    """Whether a run goes on with a validation from a checkpoint with this progress."""
    batches = loops.get("fit_loop", {}).get(VALIDATION, {}).get("total", {})
    return bool(batches.get("started", 0) > batches.get("processed", 0))
