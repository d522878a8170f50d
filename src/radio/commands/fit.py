"""How ``radio fit`` ends: the best checkpoint is evaluated, and what became of the run is said."""

from __future__ import annotations

import os
from pathlib import Path

import lightning as L
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from radio.callbacks import best_checkpoint, rankings_of
from radio.callbacks.export import monitored
from radio.commands.evaluate import show_results
from radio.data.module import RationaleDataModule
from radio.evaluation.results import gain_over_base
from radio.evaluation.table import no_better
from radio.rerankers import Reranker
from radio.runs import ending, story
from radio.runs.folder import RunFolder
from radio.runs.starting import Start
from radio.runs.stopping import stop_if_asked


def evaluate_best(
    trainer: L.Trainer, model: Reranker, datamodule: RationaleDataModule, *, test: bool
) -> None:
    """Evaluate the best checkpoint on the validation questions, and then on those of the test split
    if ``test``; warn where it is no better than the model before training."""
    best = best_checkpoint(trainer)
    for split in ("validation", "test") if test else ("validation",):
        if not datamodule.examples.get(split):
            continue
        evaluate = trainer.validate if split == "validation" else trainer.test
        # weights_only: a checkpoint of this project holds nothing else
        evaluate(model, datamodule=datamodule, ckpt_path=best, verbose=False, weights_only=True)
        stop_if_asked(trainer)
    folder = Path(trainer.default_root_dir)
    show_results(folder, "test" if test else "validation")
    if (folder / "export").is_dir():
        rank_zero_info(f"reranker: {folder / 'export'}")
    _warn_if_no_better(trainer)


@rank_zero_only
def _warn_if_no_better(trainer: L.Trainer) -> None:
    results = rankings_of(trainer).results
    doubt = no_better(gain_over_base(results, "validation", monitored(trainer)))
    if doubt:
        print(f"WARNING: {doubt}")


@rank_zero_only
def say_if_nothing_was_left(trainer: L.Trainer, start: Start) -> None:
    """Say so where the checkpoint was at the end of the training already."""
    if start.step == trainer.global_step:
        why = ending.why_stopped(trainer) or (
            f"the checkpoint is at the end of --trainer.max_epochs {trainer.max_epochs}, "
            f"--trainer.max_steps {trainer.max_steps}; to train on, raise them"
        )
        story.say(f"nothing was left to train: {why}")


@rank_zero_only
def finish(trainer: L.Trainer, folder: RunFolder, seconds: float) -> None:
    """Note what the run chose, and say how long it took and where it goes on."""
    best = best_checkpoint(trainer)
    place = os.path.relpath(best, folder.path.resolve()) if best else None
    folder.note(best=place, finished=True)
    took = f"took {story.duration(seconds)}"
    last = next(iter(folder.checkpoints()), None)
    if last:
        story.say(f"{took}; to train on: --ckpt_path last ({last})")
    else:
        story.say(
            f"{took}; no checkpoint was kept (enable_checkpointing, save_top_k): it cannot be "
            "trained on"
        )
