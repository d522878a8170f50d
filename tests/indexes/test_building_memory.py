"""Memory does not grow with the corpus, while an index and its inverted lists are built and
searched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT

pytest.importorskip("faiss", reason="faiss is not installed (extra faiss)")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no Linux"),
]

FEW, MANY = 20_000, 200_000

MEASURE = """
import json, sys, threading, time
from pathlib import Path
import numpy as np
import torch
from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.indexes import building, inverted
from tests.indexes.shared import Drawn

def status(name):
    text = Path("/proc/self/status").read_text()
    return int(text.partition(name + ":")[2].split()[0]) / 1024

def watch(peak):
    while True:
        peak[0] = max(peak[0], status("RssAnon"))
        time.sleep(0.002)

folder = Path(sys.argv[1])
cache = Cache(folder / "radio.sqlite")
corpus = DiskCorpus([folder / "corpus.jsonl"], folder / "corpora")
queries = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
# all that is imported and allocated once
building.SHARD, inverted.PART = 1024, 8
warm = {identifier: corpus[identifier] for identifier in ("p0", "p1", "p2")}
index = building.open_flat(warm, Drawn(64), cache, "float16")
index.search(queries, 2)
inverted.open_inverted(index, 2, "").search(queries, 2)

before = status("VmRSS")
# the peak counts from here on
Path("/proc/self/clear_refs").write_text("5")
index = building.open_flat(corpus, Drawn(64), cache, "float16")
scores, rows = index.search(queries, 10)
assert rows.min() >= 0
flat = status("VmHWM") - before

# what is mapped is not counted: faiss writes and reads the lists so
before = status("RssAnon")
peak = [before]
threading.Thread(target=watch, args=(peak,), daemon=True).start()
lists = inverted.open_inverted(index, 256, "nprobe=256")
assert (lists.search(queries, 10)[1] == rows).all()
print(json.dumps({"flat": flat, "inverted": peak[0] - before}))
"""
"""Builds and searches an index and its lists, and says by how many MiB memory grew with each."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, float]]:
    """What :data:`MEASURE` says of few and of many passages."""
    found = {}
    for count in (FEW, MANY):
        folder = tmp_path_factory.mktemp(str(count))
        with (folder / "corpus.jsonl").open("w") as file:
            for number in range(count):
                file.write(f'{{"id": "p{number}", "contents": "Lamp\\nLamp {number}"}}\n')
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(folder)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[count] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_flat_index_takes_no_more_for_more_passages(
    grown: dict[int, dict[str, float]],
) -> None:
    # the vectors alone are 24 MiB in float16, 49 MiB in float32; texts as long again
    assert grown[MANY]["flat"] < grown[FEW]["flat"] + 16, grown


def test_inverted_lists_take_no_more_for_more_passages(
    grown: dict[int, dict[str, float]],
) -> None:
    # the same number of lists: their centres are found from so many passages, all in memory
    assert grown[MANY]["inverted"] < grown[FEW]["inverted"] + 10, grown
