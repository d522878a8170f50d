"""What a run prints."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from radio.runs.story import same_everywhere
from tests import forked
from tests.conftest import PATIENCE, make_world

NOISE = (
    *(
        "litlogger",
        "LeafSpec",
        "Restoring states",
        "Loaded model weights",
        "FLOPs",
        "sync_dist",
        "Seed set",
    ),
    *("TPU available", "it/s", "GLOBAL_RANK", "predict returned None", "DataLoader 0"),
)


def test_advice_to_average_is_left_out_of_what_is_the_same_everywhere_alone() -> None:
    names = ["validation/em", "generator/my.own/test/dollars", "validation/RR@10"]
    advice = "It is recommended to use `self.log({!r}, ..., sync_dist=True)`"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        same_everywhere(names)
        for name in [*names, "validation/emu", "validation/RR@1"]:
            warnings.warn(advice.format(name), stacklevel=1)
        same_everywhere([])
        warnings.warn(advice.format(""), stacklevel=1)
    left = ["validation/emu", "validation/RR@1", ""]
    assert [str(warning.message) for warning in said] == [advice.format(name) for name in left]


WARNER = """
import lightning as L
from lightning.pytorch.utilities import rank_zero_warn

class Warner(L.Callback):
    def on_train_start(self, trainer, pl_module):
        rank_zero_warn("a real warning")
        own = "self.log('validation/mine', ..., sync_dist=True)"
        rank_zero_warn(f"It is recommended to use `{own}`")
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_run_prints_fits_a_screen_and_warnings_are_shown(
    processes: int, tiny_run: list[str], tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=13)
    (tmp_path / "warner.py").write_text(WARNER)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    # with what the test's own arguments turn off
    where = tiny_run.index("--trainer.enable_progress_bar")
    arguments = [*tiny_run[:where], *tiny_run[where + 2 :]]
    where = arguments.index("--trainer.enable_model_summary")
    arguments = [
        *arguments[:where],
        *arguments[where + 2 :],
        "--trainer.callbacks+",
        "warner.Warner",
    ]
    if processes > 1:
        arguments += [
            "--trainer.devices",
            "2",
            "--trainer.strategy",
            "ddp",
            "--data.init_args.batch_size",
            "4",
        ]
    command = [sys.executable, "-m", "radio", "fit", *arguments]
    # how often a progress bar is printed is read at import: one of them does import it
    done = (
        forked.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE)
        if processes > 1
        else subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert len(printed.splitlines()) <= 40, printed
    for words in NOISE:
        # a warning of the user's own metric is no noise
        assert words not in printed.replace("validation/mine', ..., sync_dist", ""), printed
    for words in (
        "a real warning",
        "validation/mine",
        "fit runs/tiny: BiEncoder",
        "epoch 1 of 1",
        "to train on",
    ):
        assert words in printed, printed
