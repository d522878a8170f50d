"""Runs that are killed at a moment of the test's choice, and go on.

What kill -9 leaves of a run is its folder as it stood at that moment, for every file is written
beside its place or row by row. So one run is enough for all its moments: :class:`Moments` copies
the folder at each of them, and a new run goes on from each copy.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from radio.callbacks import RankEvaluation
from radio.losses import ListNet, Loss
from radio.rerankers import CrossEncoder, Reranker
from radio.runs.folder import RunFolder
from radio.runs.loggers import ResumableCSVLogger
from radio.runs.progress import is_validation_due
from radio.samplers import FullList, GroupSampler
from radio.trainer import RadioTrainer
from tests.conftest import World
from tests.data.test_module import module

EPOCHS = 2
STEPS = 6
"""Batches of an epoch."""


@dataclass(frozen=True)
class Setting:
    """What is trained, as functions: a loss has a state of its own."""

    reranker: Callable[..., Reranker] = CrossEncoder
    model: str = ""
    loss: Callable[[], Loss] = lambda: ListNet(teacher_temperature=0.1)
    sampler: Callable[[], GroupSampler] = lambda: FullList(3)
    every_n_train_steps: int | None = 1
    """None: a checkpoint after each epoch alone, as in the shipped configs."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Of the reranker."""
    callbacks: Callable[[], Sequence[L.Callback]] = tuple
    trainer: dict[str, Any] = field(default_factory=dict)
    workers: int = 0


class Moments(L.Callback):
    """Copies the run folder at moments such as ``step 3`` (before the third step) or
    ``validated 1``."""

    def __init__(self, run: Path, copies: Path) -> None:
        self.run = run
        self.copies = copies
        self.names: list[str] = []

    def note(self, trainer: L.Trainer, name: str) -> None:
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        copy = self.copies / f"{len(self.names):02d} {name}"
        if self.run.is_dir():
            shutil.copytree(self.run, copy)
        else:
            copy.mkdir(parents=True)
        self.names.append(copy.name)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, f"before batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, f"after batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, "in validation")

    def on_validation_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, "after validation")

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, "end of epoch")

    def on_train_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.note(trainer, "end of training")


def fit(world: World, run: Path, setting: Setting, *others: L.Callback) -> RadioTrainer:
    """Train in a run folder, from its last checkpoint if it has one."""
    L.seed_everything(3)
    reranker = setting.reranker(
        setting.model,
        **{"loss": setting.loss(), "lr": 1e-2, "max_length": 48, "dropout": 0.2}
        | setting.arguments,
    )
    data = module(
        world,
        sampler=setting.sampler(),
        batch_size=2,
        eval_batch_size=2,
        num_workers=setting.workers,
    )
    logger = ResumableCSVLogger(run)
    places = run / "checkpoints"
    options: dict[str, Any] = {"max_epochs": EPOCHS, "log_every_n_steps": 1} | setting.trainer
    trainer = RadioTrainer(
        accelerator="cpu",
        precision="32-true",
        num_sanity_val_steps=0,
        default_root_dir=run,
        callbacks=[
            RankEvaluation(),
            *setting.callbacks(),
            *others,
            ModelCheckpoint(
                places, filename="best", monitor="validation/loss", enable_version_counter=False
            ),
            ModelCheckpoint(
                places,
                filename="last",
                enable_version_counter=False,
                every_n_train_steps=setting.every_n_train_steps,
            ),
        ],
        logger=logger,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    last = next(iter(RunFolder(run.parent, run.name).checkpoints()), None)
    if last:
        content = torch.load(last, weights_only=True)
        validates = is_validation_due(content["loops"])
        logger.keep_until(content["global_step"], validates=validates)
    else:
        logger.keep_until(0)
    trainer.fit(
        reranker,
        datamodule=data,
        ckpt_path=str(last) if last else None,
        weights_only=True if last else None,
    )
    return trainer


def state(run: Path) -> dict[str, Any]:
    """All that a run has come to, but for what the clock says."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, Any] = {"rows": rows}
    for name in ("last", "best"):
        content = torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)
        found[name] = {
            key: content[key]
            for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")
        }
        found[f"{name} of"] = {
            key: {k: v for k, v in part.items() if k == "best_model_score"}
            for key, part in content["callbacks"].items()
            if key.startswith("ModelCheckpoint")
        }
        found[f"{name} of others"] = {
            key: part
            for key, part in content["callbacks"].items()
            if not key.startswith("ModelCheckpoint")
        }
    for name in ("metrics.json", "predictions.jsonl"):
        found[name] = without_times((run / name).read_text())
    return found


def without_times(text: str) -> list[Any]:
    """JSON, or a line of it each, without what hangs on when it was made."""
    rows = [json.loads(line) for line in text.splitlines()] if "\n{" in text else [json.loads(text)]
    return [_without(row) for row in rows]


def _without(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without(v) for key, v in part.items() if key not in ("seconds", "cached")}
    return [_without(value) for value in part] if isinstance(part, list) else part


def difference(left: Any, right: Any, place: str = "") -> str | None:
    """Where two states differ first; None if they are the same to the last bit."""
    if isinstance(left, torch.Tensor):
        same = isinstance(right, torch.Tensor) and torch.equal(left, right)
        return None if same else f"{place}: {left} {right}"
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return f"{place}: keys {sorted(map(str, left.keys() ^ right.keys()))}"
        parts = [(left[key], right[key], f"{place}/{key}") for key in left]
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return f"{place}: {len(left)} and {len(right)} of them: {left} {right}"[:2000]
        parts = [(a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(left, right, strict=True))]
    else:
        return None if left == right else f"{place}: {left!r} {right!r}"
    return next((found for part in parts if (found := difference(*part))), None)


def killed_at(
    world: World, setting: Setting, chosen: Sequence[str] | None = None
) -> dict[str, str | None]:
    """How a run that was killed at each moment and went on differs from one that was not.

    Args:
        world: its files; runs are made in its folder.
        setting: what is trained.
        chosen: parts of the names of moments; None takes them all.
    """
    run, copies = world.folder / "run", world.folder / "copies"
    moments = Moments(run, copies)
    fit(world, run, setting, moments)
    whole = state(run)
    shutil.rmtree(run)
    found = {}
    for name in moments.names:
        if chosen is not None and not any(part in name for part in chosen):
            continue
        shutil.copytree(copies / name, run)
        fit(world, run, setting)
        found[name] = difference(whole, state(run))
        shutil.rmtree(run)
    shutil.rmtree(copies)
    return found
