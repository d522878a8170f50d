"""Processes in the peers' virtual environments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OWN = "radio"
"""Name of the environment that this process runs in."""


def python_of(environment: str, venvs: Path) -> str:
    """Python of the virtual environment, made if it is not there or if its requirements changed."""
    if environment == OWN:
        return sys.executable
    folder = venvs.resolve() / environment
    python, done = folder / "bin/python", folder / ".installed"
    requirements = HERE / "requirements" / f"{environment}.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return str(python)
    print(f"{environment}: installing into {folder}", file=sys.stderr, flush=True)
    if not python.exists():
        venv.create(folder, with_pip=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # torch first: a looser requirement of another package would fetch a second, larger build
    torch = next(line for line in wanted.splitlines() if line.startswith("torch=="))
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, "-r", str(requirements)], check=True)
    done.write_text(wanted, encoding="utf-8")
    return str(python)


def run(command: list[str], threads: int, *, gpu: bool = False) -> subprocess.CompletedProcess[str]:
    """The process's output; its error is shown if it fails."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    if not gpu:
        quiet["CUDA_VISIBLE_DEVICES"] = ""
    cores = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, env={**os.environ, **quiet, **cores}, capture_output=True, text=True
    )
    if done.returncode:
        print(
            f"FAILED ({done.returncode}): {' '.join(command)}\n{done.stderr[-4000:]}",
            file=sys.stderr,
            flush=True,
        )
    return done


def report_of(command: list[str], threads: int, *, gpu: bool = False) -> dict[str, Any] | None:
    """The JSON object in the last line that a process prints; None if it fails."""
    done = run(command, threads, gpu=gpu)
    if done.returncode:
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
