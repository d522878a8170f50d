"""What a command prints: one line for each thing that it does, and nothing of what the libraries
below say anyway.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Iterable

import lightning as L
from lightning.pytorch.utilities import rank_zero_only

from radio.runs.examples import examples_of

HINTS = (
    # said in the first lines of a run, or of no use to the person at the terminal
    r"^(\[rank: \d+\] )?Seed set to \d+$",
    r"^Using .* Automatic Mixed Precision \(AMP\)$",
    r"^(GPU|TPU|HPU|IPU) available: ",
    r"^LOCAL_RANK: \d+ - CUDA_VISIBLE_DEVICES: ",
    r"^Initializing distributed: GLOBAL_RANK: ",
    r"All distributed processes registered\. Starting with \d+ processes",
    r"^Loading `train_dataloader` to estimate number of stepping batches\.$",
    r"^`Trainer\.fit` stopped: `max_epochs=\d+` reached\.$",
    r"^(Restoring states|Restored all states|Loaded model weights) from the checkpoint",
    r"^💡 Tip: ",
    r"^`weights_only` was not set, defaulting to ",
)
"""What Lightning logs and a run does not print."""

WARNINGS = (
    r".*does not have many workers.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*The number of training batches .* is smaller than the logging interval.*",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"Precision .* is not supported by the model summary",
    r"predict returned None if it was on purpose",
    # a mean over all processes already; what callbacks log, they name (same_everywhere)
    r"It is recommended to use `self\.log\('validation/loss',",
)
"""Warnings that are about these libraries' insides, or do not hold here."""


class _Hints(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(re.search(hint, message) for hint in HINTS)


def quiet() -> None:
    """Leave out :data:`HINTS` and :data:`WARNINGS`; all other messages and warnings are shown."""
    from transformers.utils import logging as transformers_logging

    # the loading bars and the report on missing weights: what matters of it is said elsewhere
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for pattern in WARNINGS:
        warnings.filterwarnings("ignore", pattern)
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        for handler in logging.getLogger(name).handlers:
            if not any(isinstance(known, _Hints) for known in handler.filters):
                handler.addFilter(_Hints())


def same_everywhere(names: Iterable[str]) -> None:
    """Leave out Lightning's advice to average these figures over the processes: each has the same
    ones already.

    Args:
        names: as they are logged; whoever logs a figure that is the same everywhere says so.
    """
    known = "|".join(re.escape(repr(name)) for name in names)
    warnings.filterwarnings("ignore", rf"It is recommended to use `self\.log\(({known}),")


@rank_zero_only
def say(line: str) -> None:
    """Print a line of what a command does."""
    print(line, flush=True)


def duration(seconds: float) -> str:
    """``9 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int) -> str:
    """``24.7 K``, ``22.7 M``."""
    for size, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return str(number)


class Story(L.Callback):
    """Says what is trained, and what each epoch came to, in a line each."""

    def __init__(self) -> None:
        self._begin = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin = time.monotonic()
        parameters = list(pl_module.parameters())
        trained = sum(p.numel() for p in parameters if p.requires_grad)
        counts = []
        for split, examples in examples_of(trainer).items():
            if examples:
                counts.append(f"{split} {len(examples)}")
        questions = ", ".join(counts)
        steps = int(trainer.estimated_stepping_batches)
        done = f", {trainer.global_step} of them done" if trainer.global_step else ""
        say(f"questions: {questions or 'of the data module'}")
        say(
            f"training {count(trained)} of {count(sum(p.numel() for p in parameters))} parameters "
            f"in {steps} steps"
            f"{done}, precision {trainer.precision}, on {trainer.world_size} x "
            f"{trainer.strategy.root_device.type}"
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        monitored = [
            getattr(callback, "monitor", None) for callback in trainer.checkpoint_callbacks
        ]
        parts = []
        for name in dict.fromkeys(["train/loss", *filter(None, monitored)]):
            if name in trainer.callback_metrics:
                parts.append(f"{name} {float(trainer.callback_metrics[name]):.4g}")
        epochs = f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        took = duration(time.monotonic() - self._begin)
        say(f"epoch {trainer.current_epoch + 1}{epochs}: {', '.join([*parts, took])}")
