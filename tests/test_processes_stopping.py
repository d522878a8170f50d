"""Two processes of which one is asked to end: both end at the same step, and the same command goes
on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.runs.restarting import difference
from tests.several import Run, runner
from tests.test_restarts import left

pytestmark = pytest.mark.slow

two = pytest.fixture(runner)

PARTS = '''
import os
import signal
from pathlib import Path

import lightning as L

WANTED = Path("moment.txt")


class Ends(L.Callback):
    """Sends SIGTERM to one of the processes at the moment that a file names."""

    def moment(self, trainer, name):
        wanted = WANTED.read_text() if WANTED.is_file() else ""
        if wanted == f"process {trainer.global_rank} {name}":
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_start(self, trainer, *_):
        self.moment(trainer, f"before batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_validation_batch_start(self, trainer, *_):
        if trainer.state.fn == "fit":
            self.moment(trainer, f"in validation {trainer.current_epoch + 1}")

    def on_train_start(self, trainer, pl_module):
        if WANTED.is_file() and WANTED.read_text() == "no place for a checkpoint":
            place = Path("runs/tiny/checkpoints")
            if trainer.is_global_zero:
                place.touch()

    def on_test_batch_start(self, trainer, *_):
        self.moment(trainer, "in the test")

    def on_predict_batch_start(self, trainer, *_):
        self.moment(trainer, "in the prediction")
'''


def test_both_end_at_one_step_and_go_on_as_if_nothing_had_been(two: Run, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    settings = ["--ckpt_path", "last", "--config", "callbacks/restarts", "--model", "BiEncoder"]
    settings += ["--trainer.callbacks+", "parts.Ends", "--trainer.max_epochs", "2"]
    settings += ["--trainer.log_every_n_steps", "1", "--model.init_args.lr", "1e-3"]
    # an epoch has 3 batches, and the validation 2, on each process
    settings += ["--data.init_args.batch_size", "4", "--data.init_args.eval_batch_size", "1"]
    whole = two("fit", *settings, "--name", "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    moments = {
        "process 1 before batch 2": 2,
        "process 1 in validation 1": 3,
        "process 0 before batch 5": 5,
        "process 1 in the test": None,
    }
    for moment, step in moments.items():
        (tmp_path / "moment.txt").write_text(moment)
        done = two("fit", *settings)
        said = moment + done.stdout + done.stderr
        assert done.returncode == 128 + signal.SIGTERM, said
        assert done.stdout.count(f"last.ckpt is written, after step {step}") == (step is not None)
        assert done.stderr.count("radio: terminated; it goes on with the same command") == 1, said
        assert "Traceback" not in done.stderr
    (tmp_path / "moment.txt").unlink()
    done = two("fit", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to train" in done.stdout
    assert difference(left(tmp_path / "runs/whole"), left(tmp_path / "runs/tiny")) is None


def test_a_prediction_ends_on_both(two: Run, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "moment.txt").write_text("process 1 in the prediction")
    # 2 batches on each process
    size = ["--data.init_args.eval_batch_size", "1"]
    done = two("predict", *size, "--trainer.callbacks+", "parts.Ends")
    assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
    assert done.stderr.count("radio: terminated") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs/tiny").glob("predict.*"))


def test_a_checkpoint_that_the_first_cannot_write_ends_both(two: Run, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "moment.txt").write_text("no place for a checkpoint")
    done = two("fit", "--trainer.callbacks+", "parts.Ends")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("the checkpoint cannot be written (") == 1, done.stderr
    assert "Traceback" not in done.stderr
