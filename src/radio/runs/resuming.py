"""What a command may change of the run that it goes on from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.pytorch.utilities import rank_zero_warn

from radio.runs import ending, progress
from radio.runs.examples import data_fingerprint, examples_of
from radio.runs.kept import ABOUT
from radio.runs.loggers import ResumableCSVLogger
from radio.schema import InputError

COMMAND_WINS = (
    "lr",
    "weight_decay",
    "warmup_ratio",
    "loss",
    "dropout",
    "max_length",
    "gradient_checkpointing",
    "compile",
)
"""Arguments of a reranker that may change between a checkpoint and the command that goes on from
it."""


ORDER = ("batch_size", "sampler", "seed")
"""Arguments of the data on which the order of the groups hangs: they are fixed within an epoch."""


NO_MATTER = (
    "cache_dir",
    "engine",
    "num_workers",
    "persistent_workers",
    "eval_batch_size",
    "prepare_data_per_node",
    "predict",
    "test",
)
"""Arguments of the data that change neither what is learnt nor which checkpoint is the best."""


TRAINING = (
    "max_epochs",
    "max_steps",
    "min_epochs",
    "min_steps",
    "max_time",
    "accumulate_grad_batches",
    "precision",
    "limit_train_batches",
    "overfit_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "val_check_interval",
    "check_val_every_n_epoch",
    "limit_val_batches",
)
"""Arguments of the trainer that do."""


def run_of(checkpoint: Mapping[str, Any]) -> str | None:
    """The id of the run that has written a checkpoint, if it says."""
    return _about(checkpoint).get("run")


def _about(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    about = checkpoint.get(ABOUT)
    return about if isinstance(about, dict) else {}


def half_done(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was written in the middle of an epoch."""
    loops = checkpoint.get("loops", {})
    batches = loops.get("fit_loop", {}).get(progress.BATCHES, {})
    if not batches.get("current", {}).get("ready", 0):
        return False
    return not batches.get("is_last_batch", True) or progress.is_validation_due(loops)


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that what is learnt hangs on, and which checkpoint is the best, as plain
    values."""
    trainer = config.get("trainer") or {}
    settings = {key: trainer[key] for key in TRAINING if key in trainer}
    return {
        "seed_everything": config.get("seed_everything"),
        "model": config.get("model"),
        "data": config.get("data"),
        "trainer": settings | {"callbacks": _callbacks(trainer.get("callbacks"))},
    }


def _callbacks(given: Any) -> dict[str, Any]:
    """The arguments of callbacks by their class, numbered where there are several of one."""
    found: dict[str, Any] = {}
    several = given if isinstance(given, list) else [given] if given else []
    for callback in several:
        class_name = callback["class_path"].rpartition(".")[2]
        name, number = class_name, 2
        while name in found:
            name, number = f"{class_name}[{number}]", number + 1
        found[name] = callback.get("init_args") or {}
    return found


def _callbacks_of_one_side(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Callbacks that only a checkpoint has, or only the command."""
    old = (before.get("trainer") or {}).get("callbacks")
    new = (now.get("trainer") or {}).get("callbacks")
    if old is None or new is None:
        # checkpoints of earlier versions do not say
        return {}
    left = {f"trainer.callbacks.{name}": ("one", "none") for name in old if name not in new}
    come = {f"trainer.callbacks.{name}": ("none", "one") for name in new if name not in old}
    return left | come


def differences(before: object, now: object, key: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ, by their full key. Below a class that is another one nothing is
    compared; nor is a setting that only one side knows, as between versions."""
    if isinstance(before, dict) and isinstance(now, dict):
        if "class_path" in before and before["class_path"] != now.get("class_path"):
            return {f"{key}.class_path": (before["class_path"], now.get("class_path"))}
        found: dict[str, tuple[Any, Any]] = {}
        for name in before:
            if name in now:
                found |= differences(before[name], now[name], f"{key}.{name}" if key else name)
        return found
    return {} if before == now or _same_place(before, now) else {key: (before, now)}


def _same_place(before: object, now: object) -> bool:
    """Whether two spellings of a path mean the same file."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return all(a == b or _same_place(a, b) for a, b in zip(before, now, strict=True))
    if not isinstance(before, str) or not isinstance(now, str):
        return False
    return Path(now).exists() and Path(before).resolve() == Path(now).resolve()


def _argument(key: str, section: str) -> str | None:
    """The argument of the class of a section that a key is of, or lies in: ``loss``."""
    match = re.match(rf"{section}\.init_args\.(\w+)", key)
    return match[1] if match else None


def compare(
    checkpoint: Mapping[str, Any], settings: Mapping[str, Any], path: Path, *, trains: bool
) -> list[str]:
    """What differs between the settings of a checkpoint and those of the command that starts from
    it, a line each.

    Args:
        checkpoint: as :func:`read_checkpoint` gives it.
        settings: of the command, as :func:`relevant` gives them.
        path: of the checkpoint, for the messages.
        trains: the command goes on with training; otherwise it only evaluates.

    Raises:
        InputError: they are of different models, or of a different order of the data in a half-done
            epoch.
    """
    before = _about(checkpoint).get("config")
    if not before:
        return []
    said, refused, fixed = [], [], []
    differing = differences(before, settings) | _callbacks_of_one_side(before, settings)
    for key, (old, new) in differing.items():
        model, data = _argument(key, "model"), _argument(key, "data")
        line = f"{key}: {_short(old)} in the checkpoint, {_short(new)} in this command"
        other_model = key.startswith("model.") and model not in COMMAND_WINS
        if other_model or (key == "seed_everything" and trains):
            refused.append(line)
        elif data in NO_MATTER or not trains:
            continue
        elif half_done(checkpoint) and (data in ORDER or key == "trainer.accumulate_grad_batches"):
            fixed.append(line)
        else:
            said.append(line)
    if refused:
        raise InputError(
            f"checkpoint {path} is of another model:\n  "
            + "\n  ".join(refused)
            + "\nGive the settings of the checkpoint; to train other ones from its weights, begin "
            "a new run with --model.init_args.model RUN/export"
        )
    if fixed:
        raise InputError(
            f"checkpoint {path} is in the middle of an epoch, whose order is fixed:\n  "
            + "\n  ".join(fixed)
        )
    return said


def _short(value: object) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:57] + "..."


class RunState(L.Callback):
    """Writes into each checkpoint what it was trained with and on, and makes a resumed run heed its
    own command.

    Lightning restores learning rate, weight decay, schedule and patience from the checkpoint; the
    command's are put in their place before the first step.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        """``run`` and ``config`` of the command, if it has them."""
        self.say: Callable[[str], None] = rank_zero_warn
        self._given: list[list[dict[str, Any]]] = []
        self._base_lrs: list[list[float]] = []
        self._patience: list[int] = []
        """Of each early stopping of the command."""
        self._data: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._validates = False
        """Whether a checkpoint asks for a validation before anything is trained."""

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[ABOUT] = {**self.facts, "data": self._data, "processes": trainer.world_size}
        progress.correct(trainer, checkpoint["loops"])
        if trainer.training and progress.is_within_batch(trainer):
            _log_ahead(trainer)

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit":
            self._before = {**_about(checkpoint), "half_done": half_done(checkpoint)}
            self._validates = progress.is_validation_due(checkpoint["loops"])
            # their state is restored after this
            self._patience = [stopper.patience for stopper in ending.stoppers(trainer)]

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._validates:
            progress.take_back_begun_batch(trainer)
        self._validates = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # the optimizers are as the command has them: Lightning restores their state after this
        self._data = data_fingerprint(examples_of(trainer).get("train", []))
        self._given = [
            [
                {key: value for key, value in group.items() if key != "params"}
                for group in optimizer.param_groups
            ]
            for optimizer in trainer.optimizers
        ]
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self._base_lrs = [list(getattr(scheduler, "base_lrs", [])) for scheduler in schedulers]
        if self._patience:
            stoppers = ending.stoppers(trainer)
            ending.heed_patience(stoppers, self._patience)
            trainer.should_stop |= any(ending.has_stopped(stopper) for stopper in stoppers)
        before, self._before = self._before, {}
        if before.get("data", {}).get("questions"):
            self._compare_data(before, trainer.world_size)

    def _compare_data(self, before: Mapping[str, Any], processes: int) -> None:
        differing = []
        if before["data"] != self._data:
            old, new = before["data"]["questions"], self._data["questions"]
            counts = (
                f"{old} questions then, {new} now"
                if old != new
                else "other questions or teacher scores"
            )
            differing.append(f"training data: {counts}")
        if before.get("processes", processes) != processes:
            differing.append(f"processes: {before['processes']} then, {processes} now")
        if differing and before["half_done"]:
            raise InputError(
                "the checkpoint is in the middle of an epoch, and this command differs: "
                f"{'; '.join(differing)}. Give what it was trained on, or go on from a checkpoint "
                "at the end of an epoch"
            )
        for line in differing:
            self.say(f"differs from the checkpoint: {line}; this command's is used")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._given, strict=True):
            for group, given in zip(optimizer.param_groups, groups, strict=False):
                # the rate itself is the schedule's; without one it is the command's
                kept = {"lr": group["lr"]} if trainer.lr_scheduler_configs else {}
                group.update({**given, **kept})
        for config, base_lrs in zip(trainer.lr_scheduler_configs, self._base_lrs, strict=True):
            apply_rates(config.scheduler, base_lrs)


def _log_ahead(trainer: L.Trainer) -> None:
    """Write the row of the present step into metrics.csv: Lightning does so when the checkpoint is
    written, and a kill between the two would lose it."""
    connector = trainer._logger_connector
    metrics = connector.metrics["log"]
    if trainer.fit_loop._should_accumulate() or not connector.should_update_logs or not metrics:
        return
    row = {**convert_tensors_to_scalars(metrics), "epoch": trainer.current_epoch}
    for logger in trainer.loggers:
        if isinstance(logger, ResumableCSVLogger):
            logger.log_ahead(row, trainer.fit_loop.epoch_loop._batches_that_stepped)


def apply_rates(scheduler: Any, base_lrs: list[float]) -> None:
    """Set the learning rates that a schedule gives at its present step when it starts from
    ``base_lrs``.
    """
    if not base_lrs or not hasattr(scheduler, "base_lrs"):
        return
    old, scheduler.base_lrs = list(scheduler.base_lrs), list(base_lrs)
    if isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR):
        factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
        rates = [rate * factor for rate, factor in zip(base_lrs, factors, strict=True)]
    else:
        groups = scheduler.optimizer.param_groups
        rates = [
            group["lr"] * (new / base if base else 1.0)
            for group, new, base in zip(groups, base_lrs, old, strict=True)
        ]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
