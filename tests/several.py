"""Commands on several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests import forked
from tests.conftest import PATIENCE, make_world, read_jsonl, write_jsonl

Run = Callable[..., subprocess.CompletedProcess[str]]


def runner(tiny_run: list[str], tmp_path: Path) -> Run:
    """Runs ``radio COMMAND`` on so many processes in a world of 3 validation and 3 test questions;
    a fixture of those who take it."""
    make_world(tmp_path / "world", topics=17)
    for split in ("validation", "test"):
        path = tmp_path / f"world/{split}.jsonl"
        write_jsonl(path, read_jsonl(path)[:3])

    def run(command: str, *arguments: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
        devices = []
        # none: the arguments say
        if processes:
            devices = ["--trainer.devices", str(processes)]
            devices += ["--trainer.strategy", "ddp" if processes > 1 else "auto"]
        return forked.run(
            [sys.executable, "-m", "radio", command, *tiny_run, *devices, *arguments],
            cwd=tmp_path,
            env=environment(tmp_path),
            # against a hang, and no measure of speed
            timeout=PATIENCE,
        )

    return run


def environment(folder: Path, **further: str) -> dict[str, str]:
    """That of a command which finds the test's own classes in a folder."""
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths, **further}
