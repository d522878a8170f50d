"""The commands of docs/processes.md, as they stand there, on tiny models."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import PATIENCE, ROOT
from tests.rerankers.test_yes_no import make_decoder
from tests.several import environment

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/processes.md").read_text(encoding="utf-8")

# what SLURM's own does with these options: so many tasks, told apart by their numbers
SRUN = """#!/bin/sh
tasks=$SLURM_NTASKS
while true; do
  case "$1" in
    --ntasks=*) tasks=${1#*=} ;;
    --ntasks-per-node=*) export SLURM_NTASKS_PER_NODE=${1#*=} ;;
    --nodes=*) export SLURM_NNODES=${1#*=} ;;
    --kill-on-bad-exit=1) ;;
    --*) echo "srun: what is $1?" >&2; exit 1 ;;
    *) break ;;
  esac
  shift
done
export SLURM_NTASKS=$tasks SLURM_NODEID=0 SLURM_JOB_NODELIST=localhost SLURM_NODELIST=localhost
processes=
number=0
while [ $number -lt $tasks ]; do
  SLURM_PROCID=$number SLURM_LOCALID=$number "$@" &
  processes="$processes $!"
  number=$((number + 1))
done
worst=0
for process in $processes; do
  wait $process || worst=$?
done
exit $worst
"""


def blocks(heading: str) -> list[str]:
    """The blocks of bash in one section of the page."""
    section = re.split(r"\n##+ ", PAGE.split(f"# {heading}\n")[1])[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def small(tiny_run: list[str], tmp_path: Path) -> list[str]:
    """Options that make a command of the page one of seconds."""
    sizes = ["--trainer.log_every_n_steps", "1", "--data.init_args.max_questions", '{"train": 8}']
    # without its --config and --name
    return [*tiny_run[4:], "--data.init_args.batch_size", "4", *sizes]


def started(command: list[str], folder: Path, **further: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder; `radio` and `torchrun` are those of this environment."""
    scripts = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent)])
    paths = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    inherited = environment(folder, OMP_NUM_THREADS="1", PATH=paths, **further)
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def two_took_part(output: str) -> bool:
    return "on 2 x cpu" in output


def test_torchrun_starts_two_processes_of_one_run(small: list[str], tmp_path: Path) -> None:
    (command,) = blocks("torchrun")
    words = shlex.split(command.replace("\\\n", " "))
    done = started([*words, *small], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert two_took_part(done.stdout), done.stdout
    assert (tmp_path / "runs/torchrun/metrics.json").is_file()
    assert (tmp_path / "runs/torchrun/export/model.safetensors").is_file()


def test_a_slurm_job_prepares_with_one_task_and_trains_with_two(
    small: list[str], tmp_path: Path
) -> None:
    (script,) = blocks("SLURM")
    programs = tmp_path / "bin"
    programs.mkdir()
    # of `prepare` too, which takes the same options
    options = shlex.join(small)
    radio = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m radio "$@" {options}\n'
    for name, text in (("srun", SRUN), ("radio", radio)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    # what sbatch makes of the head of the script
    head = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    tasks = str(int(head["nodes"]) * int(head["ntasks-per-node"]))
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": head["job-name"],
        "SLURM_NNODES": head["nodes"],
        "SLURM_NTASKS": tasks,
        "SLURM_NTASKS_PER_NODE": head["ntasks-per-node"],
    }
    (tmp_path / "job.sh").write_text(script)
    done = started([str(shutil.which("bash")), "job.sh"], tmp_path, **job)
    assert done.returncode == 0, done.stdout + done.stderr
    assert two_took_part(done.stdout), done.stdout
    prepared = done.stdout.partition("fit runs/slurm")[0]
    assert "cache: " in prepared
    assert (tmp_path / "runs/slurm/metrics.json").is_file()


@pytest.mark.parametrize(
    ("heading", "processes"),
    [
        ("Several processes and machines", 2),
        ("Several machines", 1),
        ("Language models in parts: FSDP2 with LoRA", 2),
    ],
)
def test_a_command_of_the_page_trains_and_exports(
    heading: str, processes: int, small: list[str], tmp_path: Path
) -> None:
    (command,) = blocks(heading)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "radio"
    further = []
    if "rerankers/qwen3_reranker" in words:
        further += ["--model.init_args.model", make_decoder(tmp_path / "decoder", "qwen3")]
        further += ["--model.init_args.max_length", "320"]
    done = forked.run(
        [sys.executable, "-m", "radio", *words, *small, *further],
        cwd=tmp_path,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert two_took_part(done.stdout) == (processes == 2), done.stdout
    assert list((tmp_path / "runs/jsonl/export").rglob("*.safetensors"))
