"""The command line: what a run leaves behind, that it repeats, that it survives a kill, and what
mistakes look like."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forked
from tests.conftest import PATIENCE, ROOT, World, make_world, read_jsonl
from tests.forked import Forked

Radio = Callable[..., tuple[int, str, str]]
MODULE = [sys.executable, "-m", "radio"]


def test_a_generator_reads_as_many_passages_as_are_asked_for(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    callback = [
        "--trainer.callbacks+",
        "GeneratorInTheLoop",
        "--trainer.callbacks.init_args.top_k",
        "[1, 3]",
    ]
    status, _, err = radio("fit", *tiny_run, "--model", "BiEncoder", *callback)
    assert status == 0, err
    rows = [r for r in read_jsonl(tmp_path / "runs/tiny/predictions.jsonl") if r["split"] == "test"]
    for row in rows:
        tuned = row["tuned"]
        # the base config's own callback reads three
        assert tuned["answer@3"] == tuned["answer"]
        assert tuned["em@3"] == tuned["em"]
        assert tuned["answer_in_context@1"] == tuned["P@1"]
        assert tuned["answer_in_context@3"] >= tuned["answer_in_context@1"]


def test_three_runs_with_one_seed_give_the_same_metrics(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    found = []
    for number in range(3):
        # own caches: nothing is carried over
        extra = ["--name", f"run{number}", "--data.init_args.cache_dir", f"cache{number}"]
        status, _, err = radio("fit", *tiny_run, *extra)
        assert status == 0, err
        found.append(json.loads((tmp_path / f"runs/run{number}/metrics.json").read_text()))
    assert found[0] == found[1] == found[2]
    other = [
        "--name",
        "other",
        "--seed_everything",
        "1",
        "--data.init_args.seed",
        "1",
        "--model.init_args.lr",
        "1e-3",
    ]
    assert radio("fit", *tiny_run, *other)[0] == 0
    tuned = [(tmp_path / f"runs/{name}/test.tuned.trec").read_text() for name in ("run0", "other")]
    assert tuned[0] != tuned[1]


COUNTING_WRITER = '''
import os, time
from pathlib import Path
from radio.rationales import RationaleWriter
from radio.schema import Rationale

class CountingWriter(RationaleWriter):
    """Notes each request in a file before it answers, as a paid API would on its bill."""

    def __init__(self, bill: str):
        self._bill = bill

    def write(self, requests, cache):
        for question in [request.question for request in requests]:
            with open(self._bill, "a") as file:
                file.write(question.id + "\\n")
            # hangs here until it is killed
            while len(Path(self._bill).read_text().split()) == int(os.environ.get("HANG_AT", 0)):
                time.sleep(0.01)
            yield Rationale(question.id, "because " + question.golden_answers[0], model="counting")
'''


def test_prepare_killed_at_any_point_repeats_no_request(
    tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING_WRITER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    where = tiny_run.index("--data.init_args.rationales.init_args.paths")
    common = [
        *tiny_run[:where],
        *tiny_run[where + 2 :],
        "--data.init_args.rationales",
        "counting.CountingWriter",
    ]

    def command(cache: str, bill: str) -> list[str]:
        arguments = [
            "--data.init_args.rationales.init_args.bill",
            bill,
            "--data.init_args.cache_dir",
            cache,
        ]
        return [*MODULE, "prepare", *common, *arguments]

    def caches(folder: str) -> dict[str, bytes]:
        with sqlite3.connect(tmp_path / folder / "radio.sqlite") as db:
            return dict(db.execute("SELECT key, value FROM entries").fetchall())

    said = (tmp_path / "said.txt").open("w+")

    def start(cache: str, bill: str, hang_at: int = 0) -> Forked:
        return Forked(
            command(cache, bill),
            cwd=tmp_path,
            env={**environment, "HANG_AT": str(hang_at)},
            stdout=said.fileno(),
            stderr=said.fileno(),
        )

    def finish(cache: str, bill: str) -> None:
        status = start(cache, bill).wait(PATIENCE)
        assert status == 0, (tmp_path / "said.txt").read_text()

    finish("whole", "whole.txt")
    bill = tmp_path / "killed.txt"
    for requests in (1, 6, 16):
        process = start("killed", "killed.txt", hang_at=requests)
        while process.poll() is None and (
            not bill.exists() or len(bill.read_text().split()) < requests
        ):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    finish("killed", "killed.txt")
    asked = bill.read_text().split()
    # only a request that was in flight when its process died may have to be made again
    assert len(asked) - len(set(asked)) <= 3
    assert sorted(set(asked)) == sorted((tmp_path / "whole.txt").read_text().split())
    assert caches("killed") == caches("whole")
    # a complete cache asks for nothing
    finish("killed", "killed.txt")
    said.close()
    assert bill.read_text().split() == asked


@pytest.mark.slow
def test_two_processes_train_and_evaluate_every_question(
    tiny_run: list[str], tmp_path: Path
) -> None:
    make_world(tmp_path / "world", topics=13)
    devices = [
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "ddp",
        "--data.init_args.batch_size",
        "4",
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [*MODULE, "fit", *tiny_run, *devices]
    done = forked.run(command, cwd=tmp_path, env=environment, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs/tiny"
    for split in ("validation", "test"):
        questions = {row["id"] for row in read_jsonl(tmp_path / f"world/{split}.jsonl")}
        for system in ("retriever", "base", "tuned"):
            found = {
                line.split()[0]
                for line in (run / f"{split}.{system}.trec").read_text().splitlines()
            }
            assert found == questions
    assert (run / "export/model.safetensors").is_file()


def test_world_fixture_is_what_its_docstring_says(world: World) -> None:
    corpus = read_jsonl(world.folder / "corpus.jsonl")
    for question in read_jsonl(world.folder / "train.jsonl"):
        assert sum(question["golden_answers"][0] in row["contents"] for row in corpus) == 1
    assert ROOT.joinpath("pyproject.toml").is_file()
