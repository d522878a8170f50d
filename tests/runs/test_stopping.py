"""A run that is asked to end stops where a checkpoint is exact, and SLURM runs its job again."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from radio.runs.stopping import StopWithCheckpoint, stop_if_asked
from tests.conftest import make_world
from tests.runs.restarting import Setting, difference, fit, state

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty")


class Asked(L.Callback):
    """Sends SIGTERM to this process before a batch of training, or in a validation."""

    def __init__(self, batch: int = 0, *, validation: bool = False) -> None:
        self.batch = batch
        self.validation = validation

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx + 1 == self.batch:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_batch_start(self, *_: Any) -> None:
        if self.validation:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("asked", "trainer", "step"),
    [
        (Asked(3), {}, 3),
        (Asked(validation=True), {}, 4),
        # the batch is the first of three: the step is made first
        (Asked(5), {"accumulate_grad_batches": 3}, 3),
        # the validation that the batch ends with is made first
        (Asked(2), {"val_check_interval": 2}, 2),
    ],
    ids=["between steps", "in a validation", "within a step", "before a validation"],
)
def test_it_stops_with_a_checkpoint_and_goes_on_to_the_same_end(
    asked: Asked, trainer: dict[str, Any], step: int, tiny_bert: str, tmp_path: Path
) -> None:
    # no other checkpoint is written in time
    setting = Setting(model=tiny_bert, every_n_train_steps=None, trainer=trainer)
    world = make_world(tmp_path / "world", topics=6)
    run, last = world.folder / "run", world.folder / "run/checkpoints/last.ckpt"
    fit(world, run, setting)
    whole = state(run)
    shutil.rmtree(run)
    said: list[str] = []
    stop = StopWithCheckpoint(last)
    stop.say = said.append
    with pytest.raises(SIGTERMException):
        fit(world, run, setting, asked, stop)
    assert torch.load(last, weights_only=True)["global_step"] == step
    assert said == [f"asked to end: {last} is written, after step {step}"]
    fit(world, run, replace(setting))
    assert difference(whole, state(run)) is None


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("kind", ["works", "fails", "missing"])
def test_slurm_is_asked_to_run_the_job_again(
    array: bool, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "scontrol"
    if kind != "missing":
        program.write_text(
            f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n'
            + ("echo no such job >&2; exit 1\n" if kind == "fails" else "")
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    if array:
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "10")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    trainer: Any = SimpleNamespace(
        _signal_connector=SimpleNamespace(requeues=True),
        is_global_zero=True,
        checkpoint_callbacks=[],
    )
    said: list[str] = []
    stop = StopWithCheckpoint(tmp_path / "last.ckpt")
    stop.say = said.append
    stop.on_exception(trainer, None, SIGTERMException())  # type: ignore[arg-type]
    job = "10_2" if array else "12"
    if kind != "missing":
        assert (tmp_path / "asked").read_text() == f"requeue {job}\n"
    expected = {
        "works": "is queued again",
        "fails": "could not be put back into the queue (no such job)",
        "missing": "could not be put back into the queue ([Errno 2]",
    }
    assert len(said) == 1
    assert said[0].startswith(f"SLURM's job {job} {expected[kind]}")


def test_what_was_asked_after_the_last_batch_is_heeded() -> None:
    asked: Any = SimpleNamespace(received_sigterm=True)
    with pytest.raises(SIGTERMException):
        stop_if_asked(asked)
    asked.received_sigterm = False
    stop_if_asked(asked)
