"""One command, whatever it is ended by and however often: real processes, real signals."""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from radio.runs.checkpoints import read_checkpoint
from tests.conftest import ROOT
from tests.disks import small_disk
from tests.runs.restarting import difference, without_times
from tests.signalled import Start, starter
from tests.test_cli_runs import FAST, Radio

start = pytest.fixture(starter)


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
def test_a_prepare_that_was_ended_asks_for_no_rationale_twice(start: Start, tmp_path: Path) -> None:
    writer = ["--data.init_args.rationales", "parts.Writer"]
    for number, kind in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        (tmp_path / "moments.txt").write_text(f"{kind.name} before rationale 3")
        assert start("prepare", *writer).returncode == -kind
        asked = (tmp_path / "asked.txt").read_text().split()
        assert len(asked) == 2 * number
    done = start("prepare", *writer)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = (tmp_path / "asked.txt").read_text().split()
    assert len(asked) == len(set(asked)) == 16


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_leaves_the_last_checkpoint(
    start: Start, tmp_path: Path
) -> None:
    # two checkpoints of half a megabyte each, and not the third that is written beside them
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        root = ["--trainer.default_root_dir", str(disk.path)]
        command = ["fit", *root, "--ckpt_path", "last", "--test_after_fit", "false"]
        (tmp_path / "moments.txt").write_text("SIGKILL before batch 4")
        killed = start(*command, within=disk.within)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        last = disk.seen / "tiny/checkpoints/last.ckpt"
        before = last.read_bytes()
        free = os.statvfs(disk.seen)
        ballast = disk.seen / "ballast"
        ballast.write_bytes(b"0" * (free.f_bavail * free.f_frsize - len(before) // 2))
        full = start(*command, within=disk.within)
        assert full.returncode == 2, full.stdout + full.stderr
        assert "Traceback" not in full.stderr
        message = full.stderr.splitlines()[-1]
        run = re.escape(str(disk.path / "tiny"))
        assert re.search(rf"{run}.*full|No space left", message), message
        assert "ake room" in message
        assert "--ckpt_path last" in message
        assert last.read_bytes() == before
        assert read_checkpoint(last)["global_step"] == 3
        ballast.unlink()
        done = start(*command, within=disk.within)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "after step 3" in done.stdout


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_refused_before_training(
    start: Start, tmp_path: Path
) -> None:
    elsewhere = ["--trainer.callbacks+", "ModelCheckpoint", "--trainer.callbacks.init_args.dirpath"]
    with small_disk(tmp_path / "disk", "size=1m,ro") as disk:
        for settings, expected in (
            (
                ["--trainer.default_root_dir", str(disk.path)],
                "cannot be used as run folder (Read-only file system); choose another --name",
            ),
            (
                [*elsewhere, str(disk.path / "checkpoints")],
                "no checkpoint can be written there (Read-only file system)",
            ),
        ):
            done = start("fit", *settings, within=disk.within)
            assert done.returncode == 2, done.stdout + done.stderr
            assert expected in done.stderr
            assert str(disk.path) in done.stderr
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
