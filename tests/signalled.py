"""Commands in processes of their own that get a signal at a moment of the test's choice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import forked
from tests.conftest import PATIENCE, ROOT

PARTS = '''
import os
import signal
from pathlib import Path

import lightning as L
from radio.commands import predict
from radio.rationales import RationaleWriter
from radio.rerankers import BiEncoder
from radio.schema import Rationale

DIARY = Path("moments.txt")


def moment(name):
    """Send this process the signal that the first line of the list of moments asks for here."""
    wanted, *later = DIARY.read_text().split("\\n") if DIARY.is_file() else [""]
    kind, _, where = wanted.partition(" ")
    if where == name:
        DIARY.write_text("\\n".join(later))
        os.kill(os.getpid(), getattr(signal, kind))


row_of = predict.row_of


def row(*arguments):
    moment("in predict.jsonl")
    return row_of(*arguments)


predict.row_of = row


class Ends(L.Callback):
    def on_train_batch_start(self, trainer, *_):
        moment(f"before batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_train_batch_end(self, trainer, *_):
        moment(f"after batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_validation_batch_start(self, trainer, *_):
        if trainer.state.fn == "fit":
            moment(f"in validation {trainer.current_epoch + 1}")
        else:
            moment("in the validation")

    def on_test_batch_start(self, *_):
        moment("in the test")

    def on_predict_batch_start(self, *_):
        moment("in the prediction")


class Mortal(BiEncoder):
    def save(self, folder):
        super().save(folder)
        moment("in the export")


class Writer(RationaleWriter):
    """Notes what it was asked."""

    def __init__(self, paths=()):
        self.paths = list(paths)

    def write(self, requests, cache):
        for number, request in enumerate(requests, 1):
            moment(f"before rationale {number}")
            with open("asked.txt", "a") as file:
                file.write(request.question.id + "\\n")
            answer = request.question.golden_answers[0]
            yield Rationale(request.question.id, f"In fog {answer} lit the lamp.")
'''

Start = Callable[..., subprocess.CompletedProcess[str]]


def starter(tiny_run: list[str], tmp_path: Path) -> Start:
    """Runs ``radio COMMAND`` in a process of its own, on 12 training questions: 2 epochs of 3
    batches, with a checkpoint after each step; 2 batches in each evaluation. ``within``: words
    before the command. A fixture of those who take it."""
    (tmp_path / "parts.py").write_text(PARTS)
    often = (ROOT / "configs/callbacks/restarts.yaml").read_text()
    (tmp_path / "often.yaml").write_text(often.replace("100", "1"))

    def run(
        command: str, *arguments: str, within: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        words = [
            *(sys.executable, "-m", "radio", command, *tiny_run, "--config", "often.yaml"),
            *("--trainer.callbacks+", "parts.Ends", "--trainer.max_epochs", "2"),
            *("--trainer.log_every_n_steps", "1", "--data.init_args.batch_size", "4"),
            *("--data.init_args.eval_batch_size", "1", "--model.init_args.lr", "1e-3"),
            *arguments,
        ]
        paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        own = {**inherited, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths, **environment}
        # against a hang, and no measure of speed
        if not within:
            return forked.run(words, cwd=tmp_path, env=own, timeout=PATIENCE)
        # the server of forked processes does not see the disk
        return subprocess.run(
            [*within, *words],
            cwd=tmp_path,
            env=own,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run
