"""The trainer: its defaults, and what it refuses."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping

from radio.samplers import (
    Shift,
)
from tests.config.test_plan import Radio
from tests.conftest import World
from tests.rerankers.test_contracts import Lengths, fit, refused


@pytest.mark.parametrize(
    ("able", "expected"),
    [({}, "32-true"), ({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed")],
)
def test_precision_follows_the_instructions_that_the_cpu_has(
    able: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radio.trainer import RadioTrainer

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
    }
    assert RadioTrainer(**quiet).precision == expected
    assert RadioTrainer(precision="32-true", **quiet).precision == "32-true"


class Diary(L.Callback):
    """A callback of the user's own, which may log anything."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.log("mood", 1.0)


def test_what_a_callback_of_ones_own_logs_can_be_monitored(world: World) -> None:
    fit(world, Lengths(), Diary(), EarlyStopping("mood"))
    with refused("EarlyStopping: monitor: found 'mood'"):
        fit(world, Lengths(), EarlyStopping("mood"))


def test_a_trainer_of_ones_own_is_checked_before_anything_is_prepared(world: World) -> None:
    with refused("EarlyStopping: mode: found 'max'"):
        fit(world, Lengths(), EarlyStopping("validation/loss", mode="max"))
    with refused("Shift and InfoNCE"):
        fit(world, Lengths(), sampler=Shift(2, [0, 3]))
    # the questions were looked at, and nothing else
    assert not (world.folder / "cache/radio.sqlite").exists()


def test_a_training_without_an_end_is_refused(radio: Radio, tiny_run: list[str]) -> None:
    status, _, err = radio("fit", *tiny_run, "--trainer.max_epochs", "-1")
    assert status == 2
    assert "max_epochs: found -1 without max_steps" in err
