"""Points of a W&B sweep, drawn by W&B's own engine and started by W&B's own agent, offline."""

from __future__ import annotations

import json
import os
import random
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import forked
from tests.conftest import ROOT

FILES = sorted((ROOT / "configs/sweeps").glob("*.yaml"))
SWEEP = "tiny-sweep"
Point = dict[str, dict[str, Any]]
"""Values as an agent gets them: ``{"model.init_args.lr": {"value": 1e-05}}``."""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def engine() -> Any:
    """W&B's sweep engine; a test that needs it is skipped where it is not installed."""
    return pytest.importorskip(
        "sweeps",
        reason="W&B's sweep engine is not installed: pip install --no-deps sweeps jsonschema "
        "jsonref (its numpy<2 is older than radio's)",
    )


def drawn(sweep: dict[str, Any], count: int) -> list[Point]:
    """So many points of a sweep."""
    import numpy as np

    random.seed(22)
    np.random.seed(22)
    options = {"randomize_order": True} if sweep["method"] == "grid" else {}
    points = engine().next_runs(engine().SweepConfig(sweep), [], n=count, **options)
    # they come over the wire
    return [json.loads(json.dumps(point.config)) for point in points]


FORKED = """
import sys
from tests import forked
address, *words = sys.argv[1:]
forked.share(address)
sys.exit(forked.Forked([sys.executable, "-m", "radio", *words]).wait())
"""


def radio_on_path(folder: Path, tiny: list[str]) -> None:
    """Put a ``radio`` on the path that is this one, in a fork of the tests' server; its ``fit`` has
    these further options."""
    own = shlex.join([sys.executable, "-c", FORKED, forked.address()])
    script = folder / "radio"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in\nfit) exec {own} "$@" {shlex.join(tiny)} ;;\n'
        f'*) exec {own} "$@" ;;\nesac\n'
    )
    script.chmod(0o755)
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    os.environ.update(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=paths)
    os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", HF_HUB_OFFLINE="1")


def run_by_agent(sweep: dict[str, Any], point: Point, run_id: str) -> int:
    """What ``wandb agent`` does when the server gives it a point; returns the exit status."""
    from wandb.wandb_agent import Agent

    os.environ["WANDB_SWEEP_ID"] = SWEEP
    agent = Agent(api=None, queue=None, sweep_id=SWEEP)
    agent._sweep_command = list(sweep["command"])
    program = sweep["program"]
    agent._command_run({"type": "run", "run_id": run_id, "program": program, "args": point})
    status: int = agent._run_processes[run_id].wait()
    return status
