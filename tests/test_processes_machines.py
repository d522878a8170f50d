"""Two machines: the first prepares for both, or each for itself."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import PATIENCE
from tests.several import environment

PARTS = '''
import os
import sqlite3
from radio.teachers import Teacher

def note(suffix=""):
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK"))
    with open(os.environ["NOTES"] + suffix, "a") as file:
        file.write(f"{node}\\n")

class Noted(sqlite3.Connection):
    """Notes who opens SQLite."""

    def __init__(self, *given, **options):
        note(".sqlite")
        super().__init__(*given, **options)

connect = sqlite3.connect
sqlite3.connect = lambda *given, **options: connect(*given, factory=Noted, **options)

class Noting(Teacher):
    """Notes who asks it."""

    def score(self, question, rationale, passages):
        note()
        return [1 / (1 + passage.rank) for passage in passages]
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disk", "per_node", "variable", "asked"),
    [
        ("shared", False, "NODE_RANK", "00"),
        ("own", True, "GROUP_RANK", "0011"),
        ("own", False, "NODE_RANK", None),
    ],
)
def test_one_machine_prepares_for_all_or_each_for_itself(
    disk: str,
    per_node: bool,
    variable: str,
    asked: str | None,
    tiny_run: list[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # the pairs of option and value that are not about its teacher
    pairs = zip(tiny_run[::2], tiny_run[1::2], strict=True)
    settings = [word for pair in pairs if "teacher" not in pair[0] for word in pair]
    settings += ["--data.init_args.teacher", "parts.Noting"]
    settings += ["--data.init_args.prepare_data_per_node", str(per_node).lower()]
    settings += ["--trainer.num_nodes", "2", "--trainer.devices", "1", "--trainer.strategy", "ddp"]
    machines, outputs = [], []
    for node in (0, 1):
        folder = tmp_path / f"node{node}" if disk == "own" else tmp_path / "all"
        folder.mkdir(exist_ok=True)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), variable: str(node)}
        output = (tmp_path / f"output{node}").open("w+b")
        outputs.append(output)
        machines.append(
            forked.Forked(
                [sys.executable, "-m", "radio", "validate", *settings],
                cwd=folder,
                env=environment(tmp_path, NOTES=str(tmp_path / "notes"), **place),
                stdout=output.fileno(),
                stderr=output.fileno(),
            )
        )
    try:
        statuses = [machine.wait(PATIENCE) for machine in machines]
    finally:
        for machine in machines:
            machine.send_signal(signal.SIGKILL)
    texts = []
    for output in outputs:
        output.seek(0)
        texts.append(output.read().decode())
        output.close()
    assert (tmp_path / "notes").is_file(), texts
    notes = sorted((tmp_path / "notes").read_text().split())
    if asked is None:
        assert statuses[0] == 2, texts
        assert "prepare_data_per_node true" in texts[0]
        assert set(notes) == {"0"}
        return
    assert statuses == [0, 0], texts
    assert "".join(notes) == asked
    # who does not prepare finds all in tables, and leaves SQLite alone: it may lie on a network
    opened = set((tmp_path / "notes.sqlite").read_text().split())
    assert opened == set(asked)
    # the first machine alone writes the run
    first = tmp_path / "node0" if disk == "own" else tmp_path / "all"
    assert (first / "runs/tiny/metrics.json").is_file()
    assert not (tmp_path / "node1/runs/tiny/metrics.json").exists()
