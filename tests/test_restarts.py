"""One command, whatever it is ended by and however often: real processes, real signals."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.runs.checkpoints import read_checkpoint
from tests import forked
from tests.conftest import PATIENCE, ROOT
from tests.runs.restarting import difference, without_times
from tests.test_cli_runs import FAST, Radio

PARTS = '''
import os
import signal
from pathlib import Path

import lightning as L
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


class Ends(L.Callback):
    def on_train_batch_start(self, trainer, *_):
        moment(f"before batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_train_batch_end(self, trainer, *_):
        moment(f"after batch {trainer.fit_loop.total_batch_idx + 1}")

    def on_validation_batch_start(self, trainer, *_):
        if trainer.state.fn == "fit":
            moment(f"in validation {trainer.current_epoch + 1}")

    def on_test_batch_start(self, *_):
        moment("in the test")


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


@pytest.fixture
def start(tiny_run: list[str], tmp_path: Path) -> Start:
    """Runs ``radio COMMAND`` in a process of its own, on 12 training questions: 2 epochs of 3
    batches, with a checkpoint after each step."""
    (tmp_path / "parts.py").write_text(PARTS)
    often = (ROOT / "configs/callbacks/restarts.yaml").read_text()
    (tmp_path / "often.yaml").write_text(often.replace("100", "1"))

    def run(command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        return forked.run(
            [
                *(sys.executable, "-m", "radio", command, *tiny_run, "--config", "often.yaml"),
                *("--trainer.callbacks+", "parts.Ends", "--trainer.max_epochs", "2"),
                *("--trainer.log_every_n_steps", "1", "--data.init_args.batch_size", "4"),
                *("--data.init_args.eval_batch_size", "1", "--model.init_args.lr", "1e-3"),
                *arguments,
            ],
            cwd=tmp_path,
            env={
                **inherited,
                "HF_HUB_OFFLINE": "1",
                "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
                **environment,
            },
            # against a hang, and no measure of speed
            timeout=PATIENCE,
        )

    return run


UNLIKE = ("/cached", "/seconds")


def left(run: Path) -> dict[str, Any]:
    """What a finished run leaves, but for what the clock says, and for whether an answer was in the
    cache already."""
    with (run / "metrics.csv").open(newline="") as file:
        found: dict[str, Any] = {
            "rows": [
                {key: value for key, value in row.items() if not key.endswith(UNLIKE)}
                for row in csv.DictReader(file)
            ]
        }
    for name in ("last", "best"):
        content = read_checkpoint(run / f"checkpoints/{name}.ckpt")
        found[name] = [content[k] for k in ("state_dict", "optimizer_states", "lr_schedulers")]
    for name in ("metrics.json", "predictions.jsonl"):
        found[name] = without_times((run / name).read_text())
    for path in sorted(run.glob("export/**/*.safetensors")) + sorted(run.glob("*.trec")):
        found[str(path.relative_to(run))] = path.read_bytes()
    return found


@pytest.mark.slow
def test_one_command_repeated_until_it_is_done_comes_to_what_one_run_does(
    start: Start, tmp_path: Path
) -> None:
    command = ["fit", "--ckpt_path", "last", "--model", "parts.Mortal"]
    whole = start(*command, "--name", "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "there is no checkpoint yet, the run begins from the start" in whole.stdout
    moments = {
        "SIGKILL before batch 1": "begins from the start",
        "SIGTERM before batch 2": "begins from the start",
        "SIGKILL in validation 1": "after step 2",
        "SIGTERM in validation 1": "after step 3",
        "SIGKILL after batch 5": "after step 3",
        "SIGTERM before batch 5": "after step 4",
        "SIGKILL in the export": "after step 5",
        "SIGTERM in the export": "after step 6",
        "SIGTERM in the test": "after step 6",
    }
    (tmp_path / "moments.txt").write_text("\n".join(moments))
    for moment, begins in moments.items():
        done = start(*command)
        kind = moment.split()[0]
        died = -signal.SIGKILL if kind == "SIGKILL" else 128 + signal.SIGTERM
        assert done.returncode == died, moment + done.stdout + done.stderr
        assert begins in done.stdout, moment + done.stdout
        if kind == "SIGTERM":
            assert "radio: terminated; it goes on with the same command and" in done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "moments.txt").read_text() == ""
    done = start(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was left to train" in done.stdout
    assert difference(left(tmp_path / "runs/whole"), left(tmp_path / "runs/tiny")) is None
    # what the killed ones had begun is gone
    assert not [p for p in (tmp_path / "runs/tiny").rglob(".*") if not p.name.startswith(".radio")]


SCONTROL = """#!/bin/sh
echo "$@" >> queued.txt
"""


@pytest.mark.slow
def test_slurm_runs_a_job_again_that_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scontrol").write_text(SCONTROL)
    (tmp_path / "bin/scontrol").chmod(0o755)
    slurm = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "radio",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    command = ["fit", "--ckpt_path", "last", "--test_after_fit", "false"]
    whole = start(*command, "--name", "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    (tmp_path / "moments.txt").write_text("SIGUSR1 before batch 2\nSIGUSR1 in validation 2")
    for place, step in ((1, 2), (2, 6)):
        done = start(*command, **slurm)
        assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
        assert f"last.ckpt is written, after step {step}" in done.stdout
        assert "SLURM's job 4711 is queued again" in done.stdout
        assert (tmp_path / "queued.txt").read_text() == "requeue 4711\n" * place
    done = start(*command, **slurm)
    assert done.returncode == 0, done.stdout + done.stderr
    assert difference(left(tmp_path / "runs/whole"), left(tmp_path / "runs/tiny")) is None
    # Lightning's own would win over --ckpt_path for ever
    assert not list((tmp_path / "runs/tiny").glob("hpc_ckpt*"))


@pytest.mark.slow
def test_a_killed_prepare_asks_for_no_rationale_twice(start: Start, tmp_path: Path) -> None:
    writer = ["--data.init_args.rationales", "parts.Writer"]
    (tmp_path / "moments.txt").write_text("SIGKILL before rationale 3")
    assert start("prepare", *writer).returncode == -signal.SIGKILL
    asked = (tmp_path / "asked.txt").read_text().split()
    assert len(asked) == 2
    done = start("prepare", *writer)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = (tmp_path / "asked.txt").read_text().split()
    assert len(asked) == len(set(asked)) == 16


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small disk of its own; skips where that needs rights which the tests lack."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")

    def make(options: str) -> Path:
        command = [str(mount), "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        return place

    if mount is None or os.getuid():
        pytest.skip("mounting a small disk needs mount and root")
    yield make
    subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_leaves_the_last_checkpoint(
    start: Start, small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    # two checkpoints of half a megabyte each, and not the third that is written beside them
    disk = small_disk("size=64m")
    root = ["--trainer.default_root_dir", str(disk)]
    command = ["fit", *root, "--ckpt_path", "last", "--test_after_fit", "false"]
    (tmp_path / "moments.txt").write_text("SIGKILL before batch 4")
    assert start(*command).returncode == -signal.SIGKILL
    last = disk / "tiny/checkpoints/last.ckpt"
    before = last.read_bytes()
    free = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"0" * (free.f_bavail * free.f_frsize - len(before) // 2))
    full = start(*command)
    assert full.returncode == 2, full.stdout + full.stderr
    assert "Traceback" not in full.stderr
    message = full.stderr.splitlines()[-1]
    assert re.search(rf"{re.escape(str(disk / 'tiny'))}.*full|No space left", message), message
    assert "ake room" in message
    assert "--ckpt_path last" in message
    assert last.read_bytes() == before
    assert read_checkpoint(last)["global_step"] == 3
    (disk / "ballast").unlink()
    done = start(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after step 3" in done.stdout


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_refused_before_training(
    start: Start, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("size=1m,ro")
    run = start("fit", "--trainer.default_root_dir", str(disk))
    elsewhere = start(
        "fit",
        "--trainer.callbacks+",
        "ModelCheckpoint",
        "--trainer.callbacks.init_args.dirpath",
        str(disk / "checkpoints"),
    )
    for done, expected in (
        (run, "cannot be used as run folder (Read-only file system); choose another --name"),
        (elsewhere, "no checkpoint can be written there (Read-only file system)"),
    ):
        assert done.returncode == 2, done.stdout + done.stderr
        assert expected in done.stderr
        assert str(disk) in done.stderr
        assert "Traceback" not in done.stderr
        assert "retrieve" not in done.stderr, "nothing was prepared"


def blocks_of_bash() -> list[str]:
    text = (ROOT / "docs/restarts.md").read_text()
    return re.findall(r"```bash\n(.*?)```", text, re.DOTALL)


def test_the_commands_of_the_page_go_on_by_themselves(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    for path in (tmp_path / "world").iterdir():
        shutil.copy(path, tmp_path)
    plain, script = blocks_of_bash()
    checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert checked.returncode == 0
    (line,) = re.findall(r"^srun (radio fit (?:.*\\\n)*.*)$", script, re.MULTILINE)
    assert shlex.split(line) == shlex.split(plain), "one command for both"
    # tiny models; what the page gives itself is left out
    given = shlex.split(line.replace("\\\n", " "))[1:]
    small = [*tiny_run[4 : tiny_run.index("--data.init_args.corpus")], *FAST]
    status, out, err = radio(*given, *small)
    assert status == 0, err
    assert "there is no checkpoint yet, the run begins from the start" in out
    status, out, err = radio(*given, *small)
    assert status == 0, err
    assert "nothing was left to train" in out
