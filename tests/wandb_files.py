"""What an offline run of W&B has written, read back by W&B's own program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def records(path: Path) -> dict[str, list[Any]]:
    """The records of a ``.wandb`` file by their type, in their order."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    found: dict[str, list[Any]] = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        found.setdefault(record["type"], []).append(record[record["type"]])
    return found


def tables(folder: Path) -> dict[str, Any]:
    """The tables of the runs below a folder by the names under which they were logged, the last of
    each."""
    found = {}
    for path in sorted(folder.glob("wandb/offline-run-*/files/media/table/**/*.table.json")):
        place = path.relative_to(path.parents[[p.name for p in path.parents].index("table")])
        name, _, _ = place.as_posix().rpartition("_")
        found[name.rpartition("_")[0]] = json.loads(path.read_text(encoding="utf-8"))
    return found
