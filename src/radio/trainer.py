"""Lightning's Trainer with the defaults, checks and notes of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import Strategy

from radio.callbacks import rankings_of
from radio.config import plan
from radio.data.attached import datamodule_of
from radio.data.module import RationaleDataModule
from radio.data.sharing import preparing
from radio.models.limits import computes_in_bf16
from radio.ranges import check
from radio.rerankers import Reranker
from radio.runs import progress
from radio.runs.checkpoints import WholeCheckpoints
from radio.runs.resuming import RunState
from radio.runs.stopping import Signals
from radio.schema import InputError


class RadioTrainer(L.Trainer):
    """Lightning's Trainer with the command ``prepare`` and defaults that fit this project.

    Without a ``precision`` it takes bf16-mixed on a GPU or CPU that computes in bf16, else 32-true.
    """

    callbacks: list[L.Callback]
    fast_dev_run: bool | int

    def __init__(self, *args: Any, use_distributed_sampler: bool = False, **kwargs: Any) -> None:
        check_trainer(kwargs)
        if kwargs.get("precision") is None:
            kwargs["precision"] = default_precision(kwargs.get("accelerator", "auto"))
        try:
            # the data module splits questions over processes itself: groups must know their epoch
            super().__init__(*args, use_distributed_sampler=use_distributed_sampler, **kwargs)
        except (
            MisconfigurationException,
            ValueError,
            TypeError,
            RuntimeError,
            ImportError,
        ) as error:
            names = ("accelerator", "devices", "strategy", "precision")
            chosen = ", ".join(
                f"{name} {kwargs[name]}" for name in names if kwargs.get(name) is not None
            )
            raise InputError(f"trainer ({chosen}): {error}") from error
        check_strategy(self.strategy)
        self._signal_connector = self._signals = Signals(self)
        self.run_state = RunState()
        self.callbacks.insert(0, self.run_state)
        # each command collects them; predict has nobody else who asks for them
        rankings_of(self)
        if type(self.strategy.checkpoint_io) is TorchCheckpointIO:
            self.strategy.checkpoint_io = WholeCheckpoints(self)

    @property
    def received_sigterm(self) -> bool:
        """Whether the run is asked to end; said only where an optimizer step is complete, so that a
        checkpoint can be written. All processes must ask: they end together."""
        within_step = self.state.fn == "fit" and self.fit_loop._should_accumulate()
        return not within_step and self._signals.asked_to_end()

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """As Lightning does; where it cannot be written, all processes end, and none waits."""
        super().save_checkpoint(*args, **kwargs)
        writer = self.strategy.checkpoint_io
        if isinstance(writer, WholeCheckpoints):
            writer.stop_where_unwritten()

    def prepare(self, model: Reranker, datamodule: RationaleDataModule) -> None:
        """Fill the caches: candidates, rationales, teacher scores. Trains nothing and loads no
        reranker."""
        plan.check_run(self.callbacks, model, datamodule)
        plan.check_data(self.callbacks, datamodule, datamodule.splits_of(None))
        datamodule.prepare_data()
        print(datamodule.summary())

    def _run(self, model: L.LightningModule, *args: Any, **kwargs: Any) -> Any:
        """What fit, validate, test and predict have in common, from the preparation of the data on.

        Of the processes, those that prepare the data check first whether the parts of the run fit
        each other.
        """
        if self.local_rank == 0:
            self._check_plan(model)
        with self._signals.heeded():
            return super()._run(model, *args, **kwargs)

    def _run_stage(self) -> Any:
        if self.state.fn == "fit":
            progress.leave_epoch(self)
        return super()._run_stage()

    def _check_plan(self, model: L.LightningModule) -> None:
        if not isinstance(getattr(self, "datamodule", None), RationaleDataModule):
            return
        datamodule, command = datamodule_of(self), self.state.fn
        with preparing(datamodule):
            splits = datamodule.splits_of(command)
            if command == "fit" and isinstance(model, Reranker):
                plan.check_run(self.callbacks, model, datamodule)
            plan.check_data(self.callbacks, datamodule, splits)


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Refuse numbers of a trainer that make no sense (:mod:`radio.ranges`).

    Raises:
        InputError: names the setting, what was found and what is expected.
    """
    numbers: dict[str, float] = {}
    for name, value in settings.items():
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,9}", value.strip()):
            numbers[name] = int(value)
        # a list of devices holds their numbers, from 0
        elif isinstance(value, int | float):
            numbers[name] = value
    check("Trainer", numbers)
    if numbers.get("max_epochs") == -1 and numbers.get("max_steps", -1) == -1:
        raise InputError(
            "Trainer: max_epochs: found -1 without max_steps, expected one of them to end the "
            "training: the learning rate falls to 0 at its end"
        )


def check_strategy(strategy: Strategy) -> None:
    """Refuse checkpoints that are folders of the processes' parts: neither an export nor a run on
    another number of processes could read them.

    Raises:
        InputError: names the setting.
    """
    # Lightning has no public name for it
    if getattr(strategy, "_save_distributed_checkpoint", False):
        raise InputError(
            f"{type(strategy).__name__}: save_distributed_checkpoint: found true, expected false "
            "(--config trainers/fsdp2 has it): checkpoints are one file each"
        )


def default_precision(accelerator: object) -> str:
    """``bf16-mixed`` where the hardware has instructions for it, else fp32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        kind = "cuda"
    elif accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        kind = "cpu"
    else:
        kind = ""
    return "bf16-mixed" if computes_in_bf16(kind) else "32-true"
