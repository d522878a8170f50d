"""A training that was ended early stays ended, and one that goes on ends where it would have."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping

from radio.runs.ending import has_stopped, heed_patience, why_stopped
from tests.conftest import World, make_world
from tests.runs.restarting import Setting, difference, fit, killed_at, state

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*exists and is not empty", "ignore:.*could not find the monitored key"
)


def nothing_is_better(patience: int) -> Callable[[], Sequence[L.Callback]]:
    """Early stopping that never sees an improvement after its first look."""
    return lambda: [EarlyStopping("validation/loss", patience=patience, min_delta=1000.0)]


WITHIN = {"val_check_interval": 2}
STEPS = {"max_epochs": -1, "max_steps": 30}
SETTINGS: dict[str, tuple[int | None, int, dict[str, Any]]] = {
    "a checkpoint after each epoch": (None, 1, {}),
    "validation within epochs": (1, 1, WITHIN),
    "validation within, a checkpoint after each epoch": (None, 3, WITHIN),
    "not before some epochs": (None, 1, {"min_epochs": 4}),
    "steps instead of epochs": (None, 1, STEPS),
    "steps, validation within epochs": (1, 1, STEPS | WITHIN),
}
"""Steps from one checkpoint to the next, patience, and options of the trainer."""

HARDEST = {
    "a checkpoint after each epoch": ("end of training",),
    "not before some epochs": ("before batch 19", "end of training"),
    "steps instead of epochs": ("before batch 8", "end of training"),
}
"""Moments after which Lightning by itself trains on, or looks a second time."""


def check(name: str, tiny_bert: str, folder: Any, moments: Any) -> None:
    every, patience, options = SETTINGS[name]
    setting = Setting(
        model=tiny_bert,
        every_n_train_steps=every,
        callbacks=nothing_is_better(patience),
        trainer={"max_epochs": 6} | options,
    )
    found = killed_at(make_world(folder / "world", topics=6), setting, moments)
    assert found
    assert {moment: text for moment, text in found.items() if text} == {}


@pytest.mark.parametrize("name", HARDEST)
def test_what_was_ended_early_is_not_trained_further(
    name: str, tiny_bert: str, tmp_path: Any
) -> None:
    check(name, tiny_bert, tmp_path, HARDEST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_at_every_moment(name: str, tiny_bert: str, tmp_path: Any) -> None:
    check(name, tiny_bert, tmp_path, None)


@pytest.fixture
def world(tmp_path: Any) -> World:
    return make_world(tmp_path / "world", topics=6)


def test_the_commands_patience_takes_the_place_of_the_checkpoints(
    tiny_bert: str, world: World
) -> None:
    run = world.folder / "run"
    setting = Setting(
        model=tiny_bert,
        every_n_train_steps=None,
        callbacks=nothing_is_better(3),
        trainer={"max_epochs": 6},
    )
    fit(world, run, setting)
    at_once = state(run)
    shutil.rmtree(run)

    short = fit(world, run, replace(setting, callbacks=nothing_is_better(1)))
    assert short.current_epoch == 2
    assert "validation/loss has not improved for 1 of its checks" in (why_stopped(short) or "")
    longer = fit(world, run, setting)
    assert longer.current_epoch == 4
    assert difference(at_once, state(run)) is None
    # what has ended by the shorter patience too
    again = fit(world, run, replace(setting, callbacks=nothing_is_better(2)))
    assert again.current_epoch == 4
    # without early stopping there is no end but that of the epochs
    assert fit(world, run, replace(setting, callbacks=tuple)).current_epoch == 6


def test_a_threshold_that_was_reached_stays_reached() -> None:
    stopper = EarlyStopping("validation/loss", patience=2, check_finite=True)
    trainer = L.Trainer(
        callbacks=[stopper], logger=False, enable_checkpointing=False, accelerator="cpu"
    )
    assert why_stopped(trainer) is None
    stopper.load_state_dict({**stopper.state_dict(), "stopping_reason": 4, "patience": 9})
    heed_patience([stopper], [2])
    assert stopper.patience == 2
    assert has_stopped(stopper)
    assert why_stopped(trainer) == (
        "EarlyStopping has ended the training by validation/loss (non finite metric); to train "
        "on, leave it out"
    )
