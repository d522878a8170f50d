"""A model that is asked for likelihoods in a process that is killed: nothing is computed twice but
the batch that was under way."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.forked import Forked

BATCH = 4
COUNTING_MODEL = '''
import os, time
from pathlib import Path
from radio.llm.copies import Judging
from radio.llm.transformers import TransformersModel

made = Judging.made

def noted(self, copy, rows):
    self._model.note(rows)
    return made(self, copy, rows)

Judging.made = noted

class CountingModel(TransformersModel):
    """Notes in a file what is asked for, a line for each batch, before it is computed."""

    def __init__(self, model: str, bill: str):
        super().__init__(model, max_length=512, batch_size=4, accelerator="cpu")
        self._bill = Path(bill)
        self._asked = {}

    def judged(self, calls, texts):
        for call, text in zip(calls, texts):
            one, answer = self._tokens(call, text)
            self._asked[tuple(one.prompt), answer] = call.key
        yield from super().judged(calls, texts)

    def note(self, rows):
        keys = []
        for row in rows:
            keys += [self._asked[tuple(row["prompt"]), tuple(answer)] for answer in row["answers"]]
        with self._bill.open("a") as file:
            file.write(" ".join(keys) + "\\n")
        # hangs here until it is killed
        while len(self._bill.read_text().splitlines()) == int(os.environ.get("HANG_AT", 0)):
            time.sleep(0.01)
'''


def arguments(tiny_run: Sequence[str], model: str, cache: str, bill: str) -> list[str]:
    """Those of a run whose teacher is asked, instead of the similarity and its rationales."""
    kept = list(tiny_run)
    for name in (
        "--data.init_args.teacher.init_args.encoder.init_args.model",
        "--data.init_args.teacher.init_args.encoder.init_args.max_length",
        "--data.init_args.rationales.init_args.paths",
    ):
        where = kept.index(name)
        del kept[where : where + 2]
    teacher = "--data.init_args.teacher"
    return [
        *(sys.executable, "-m", "radio", "prepare", *kept),
        *("--data.init_args.rationales", "null", "--data.init_args.cache_dir", cache),
        *(teacher, "AnswerLikelihood", f"{teacher}.init_args.model", "counting.CountingModel"),
        *(f"{teacher}.init_args.model.init_args.model", model),
        *(f"{teacher}.init_args.model.init_args.bill", bill),
    ]


@pytest.mark.slow
def test_prepare_killed_at_any_batch_computes_nothing_twice_but_that_batch(
    tiny_run: list[str], tiny_generator: str, tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text(COUNTING_MODEL)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    said = (tmp_path / "said.txt").open("w+")

    def start(name: str, hang_at: int = 0) -> Forked:
        return Forked(
            arguments(tiny_run, tiny_generator, name, f"{name}.txt"),
            cwd=tmp_path,
            env={**environment, "HANG_AT": str(hang_at)},
            stdout=said.fileno(),
            stderr=said.fileno(),
        )

    def finish(name: str) -> None:
        assert start(name).wait(PATIENCE) == 0, (tmp_path / "said.txt").read_text()

    def bill(name: str) -> list[list[str]]:
        path = tmp_path / f"{name}.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def kept(name: str) -> dict[str, bytes]:
        with sqlite3.connect(tmp_path / name / "radio.sqlite") as db:
            rows = db.execute("SELECT key, value FROM entries WHERE kind = 'likelihood'")
            return dict(rows.fetchall())

    finish("whole")
    every = [key for batch in bill("whole") for key in batch]
    assert len(every) == len(set(every)) == len(kept("whole")) > 20 * BATCH
    under_way: list[str] = []
    for batches in (1, 6, 14):
        process = start("killed", hang_at=batches)
        while process.poll() is None and len(bill("killed")) < batches:
            time.sleep(0.005)
        *computed, lost = bill("killed")
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL, (tmp_path / "said.txt").read_text()
        # each batch before the one under way is kept, and that one is not
        assert {key for batch in computed for key in batch} - {*lost} <= kept("killed").keys()
        assert not {*lost} & kept("killed").keys()
        under_way += lost
    finish("killed")
    asked = [key for batch in bill("killed") for key in batch]
    assert set(asked) == set(every)
    assert sorted(asked) == sorted([*every, *under_way])
    assert kept("killed").keys() == kept("whole").keys()
    # a complete cache asks for nothing
    finish("killed")
    said.close()
    assert [key for batch in bill("killed") for key in batch] == asked
