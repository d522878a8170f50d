"""What an interrupted command has computed is taken over, row by row."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import pytest

from radio.engines import Batch
from radio.engines.jobs import Job
from radio.engines.shards import Shards, read, write
from tests.engines.working import Doubling, batches_of


def job(folder: Path, work: Doubling) -> Job:
    made = Job(work, Shards(folder, work.identity))
    made.look()
    return made


def compute(job: Job, name: str) -> None:
    """As an actor does."""
    rows = read(job.shards.todo(name))
    made = job.work(list(rows.values()))
    write(job.shards.done(name), dict(zip(rows, made, strict=True)))


def finish(job: Job, batches: list[Batch]) -> list[dict[str, int]]:
    """Doubles by key of each batch."""
    waiting = deque(map(job.hand_out, batches))
    for name in job.missing(waiting):
        compute(job, name)
    job.look()
    found = []
    for rows in job.taken(waiting):
        found.append({key: row["double"] for key, row in rows.items()})
    job.close()
    return found


def expected(batches: list[Batch]) -> list[dict[str, int]]:
    return [{key: 2 * row["number"] for key, row in batch.items()} for batch in batches]


def files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.parquet"))


def test_nothing_is_left_when_all_was_taken(tmp_path: Path) -> None:
    batches = [*batches_of(4), {}]
    assert finish(job(tmp_path, Doubling()), batches) == expected(batches)
    assert files(tmp_path) == []


def test_batches_that_were_computed_before_a_kill_are_not_computed_again(tmp_path: Path) -> None:
    batches = batches_of(4)
    first = job(tmp_path, Doubling())
    handed = [first.hand_out(batch) for batch in batches]
    compute(first, handed[2].name)
    # killed here
    work = Doubling()
    assert finish(job(tmp_path, work), batches) == expected(batches)
    assert work.batches == [[0, 1, 2], [3, 4, 5], [9, 10, 11]]
    assert files(tmp_path) == []


def test_rows_that_stand_in_other_batches_now_are_not_computed_again(tmp_path: Path) -> None:
    first = job(tmp_path, Doubling())
    for batch in batches_of(4):
        compute(first, first.hand_out(batch).name)
    # three of its rows were taken before the kill: the others come in other batches
    again, work = batches_of(4, size=2), Doubling()
    rest = [{"key2": batches_of(1)[0]["key2"], "key90": {"number": 90, "text": ""}}, *again[2:]]
    assert finish(job(tmp_path, work), rest) == expected(rest)
    assert work.batches == [[90]]
    # files with rows that nobody asked for are left, and found by who does
    assert len(files(tmp_path)) == 2 * 4
    assert finish(job(tmp_path, work), batches_of(4)) == expected(batches_of(4))
    assert work.batches == [[90]]
    assert files(tmp_path) == []


def test_another_model_finds_nothing(tmp_path: Path) -> None:
    first = job(tmp_path, Doubling())
    compute(first, first.hand_out(batches_of(1)[0]).name)
    work = Doubling(version=2)
    finish(job(tmp_path, work), batches_of(1))
    assert work.batches == [[0, 1, 2]]


def test_a_batch_that_comes_twice_is_computed_once_and_taken_twice(tmp_path: Path) -> None:
    first, second = batches_of(2)
    batches, work = [first, second, first, first], Doubling()
    assert finish(job(tmp_path, work), batches) == expected(batches)
    assert work.batches == [[0, 1, 2], [3, 4, 5]]
    assert files(tmp_path) == []


def test_a_batch_that_comes_again_later_is_computed_again(tmp_path: Path) -> None:
    batches, work = batches_of(1), Doubling()
    under_way = job(tmp_path, work)
    # handed out when the first is taken already
    for _ in range(2):
        assert finish(under_way, batches) == expected(batches)
    assert work.batches == [[0, 1, 2]] * 2
    assert files(tmp_path) == []


def test_a_row_of_a_computed_batch_that_stands_in_a_later_one_too_is_found(tmp_path: Path) -> None:
    (batch,) = batches_of(1)
    first = job(tmp_path, Doubling())
    compute(first, first.hand_out(batch).name)
    # killed here
    later = {"key2": batch["key2"], "key90": {"number": 90, "text": ""}}
    for batches in ([batch, later], [later, batch]):
        assert finish(job(tmp_path, Doubling()), batches) == expected(batches)
    assert files(tmp_path) == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_repeats_and_whatever_is_there_already_all_rows_come(
    seed: int, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    rows = {key: row for batch in batches_of(2) for key, row in batch.items()}

    def drawn() -> list[Batch]:
        made = []
        for _ in range(draw.randint(1, 6)):
            keys = sorted(draw.sample(list(rows), draw.randint(1, 3)))
            made.append({key: rows[key] for key in keys})
        return made

    batches = drawn()
    interrupted = job(tmp_path, Doubling())
    there = draw.choice([batches, drawn()])
    for batch in draw.sample(there, draw.randint(0, len(there))):
        compute(interrupted, interrupted.hand_out(batch).name)
    # killed here
    assert finish(job(tmp_path, Doubling()), batches) == expected(batches)
    # all that is left is asked for in the end
    everything = [{key: row} for key, row in rows.items()]
    assert finish(job(tmp_path, Doubling()), everything) == expected(everything)
    assert list(tmp_path.rglob("done/*.parquet")) == []
