"""What the workers share whose trainer is a subclass of transformers.Trainer."""

from __future__ import annotations

import argparse
from typing import Any

from common import Clock
from transformers import TrainerCallback


class Timer(TrainerCallback):
    """Ticks at the end of each optimizer step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock.tick()


def training_arguments(args: argparse.Namespace, folder: str) -> dict[str, Any]:
    """One epoch of plain AdamW: nothing is saved, logged or clipped."""
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": args.questions,
        "learning_rate": 1e-5,
        "bf16": args.dtype == "bf16",
        "use_cpu": args.device == "cpu",
        "max_grad_norm": 0.0,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
