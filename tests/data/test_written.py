"""The rationales of a split: the same from the table as from the cache, and no cache opened by who
only reads."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from radio.cache import Cache
from radio.data import sharing
from radio.data.written import Items, written
from radio.rationales import Failure, RationaleWriter, Recorded, Request, Several, fill
from radio.rationales.checks import QualityChecks
from radio.rationales.summary import Kept
from radio.schema import InputError, Question, Rationale
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", ("Ada",)) for n in range(4)]


class Rows(RationaleWriter):
    """Writes what it is told, of all but some."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self._failing = failing

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        for request in requests:
            name = request.question.id
            if name in self._failing:
                yield Failure(name, "the line was cut")
            else:
                usage = {"output": 3, "input": 9}
                text = f"Ada lit {name}, é \ud800."
                yield Rationale(name, text, "m-1", "aaaa", usage, response={"id": name})


def requests(writer: RationaleWriter) -> list[Request]:
    return [Request(writer.key(question), question) for question in QUESTIONS]


def filled(writer: RationaleWriter, folder: Path) -> Cache:
    cache = Cache(folder / "radio.sqlite")
    fill(writer, requests(writer), cache, folder / "failures.jsonl", "rationales")
    return cache


def reader(cache: Cache) -> Cache:
    found = Cache(cache.path)
    found.read_only = True
    return found


@pytest.fixture
def no_sqlite(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on SQLite is not opened."""

    def refuse(*given: Any, **options: Any) -> NoReturn:
        raise AssertionError(given)

    return lambda: monkeypatch.setattr(sqlite3, "connect", refuse)


def test_a_table_has_what_the_cache_has(tmp_path: Path, no_sqlite: Callable[[], None]) -> None:
    writer = Rows(failing=["q2"])
    cache = filled(writer, tmp_path)
    stored = writer.stored(requests(writer), cache)
    assert list(stored) == ["q0", "q1", "q3"]
    found = written(writer, lambda: requests(writer), cache)
    assert dict(found) == stored
    # what teachers' keys are made of is the same to the letter
    keys = [json.dumps(one.content) for one in found.values()]
    assert keys == [json.dumps(one.content) for one in stored.values()]
    no_sqlite()
    assert dict(written(writer, lambda: requests(writer), reader(cache))) == stored


def test_several_rationales_a_question_are_in_the_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = [{"id": q.id, "rationale": f"{name} says Ada of {q.id}."} for q in QUESTIONS]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    writer = Several([Recorded(str(tmp_path / f"{name}.jsonl")) for name in ("a", "b")])
    cache = filled(writer, tmp_path)
    found = written(writer, lambda: requests(writer), cache)
    assert found["q1"].texts == ("a says Ada of q1.", "b says Ada of q1.")
    assert dict(found) == writer.stored(requests(writer), cache)


def test_what_is_written_later_is_found_under_the_same_keys(
    tmp_path: Path, no_sqlite: Callable[[], None]
) -> None:
    first = Rows(failing=["q2"])
    cache = filled(first, tmp_path)
    before = written(first, lambda: requests(first), cache)
    later = Rows()
    assert requests(later) == requests(first)
    filled(later, tmp_path)
    assert len(written(later, lambda: requests(later), cache)) == 4
    # who has opened the earlier one keeps it
    assert list(before) == ["q0", "q1", "q3"]
    no_sqlite()
    assert len(written(later, lambda: requests(later), reader(cache))) == 4


@pytest.mark.parametrize("lost", ["note", "no note", "table", "rows"])
def test_who_only_reads_looks_into_the_cache_where_a_table_is_lost(
    lost: str, tmp_path: Path
) -> None:
    writer = Rows()
    cache = filled(writer, tmp_path)
    expected = dict(written(writer, lambda: requests(writer), cache))
    (note,) = (tmp_path / "tables").glob("rationales-*.json")
    table = note.parent / json.loads(note.read_text(encoding="utf-8"))["table"]
    if lost == "note":
        note.write_text('{"table": "../elsewhere"}', encoding="utf-8")
    elif lost == "no note":
        note.unlink()
    elif lost == "table":
        shutil.rmtree(table)
    else:
        (table / "questions.arrow").write_bytes(b"")
    again = reader(cache)
    found = written(writer, lambda: requests(writer), again)
    assert dict(found) == expected
    with pytest.raises(InputError, match="only reads the cache"):
        again.put("kind", {"a": b"1"})


def test_none_at_all_is_a_table_too(tmp_path: Path) -> None:
    writer = Rows(failing=[question.id for question in QUESTIONS])
    cache = filled(writer, tmp_path)
    assert dict(written(writer, lambda: requests(writer), cache)) == {}
    assert dict(written(writer, lambda: requests(writer), reader(cache))) == {}


def test_a_process_that_does_not_prepare_opens_no_sqlite(
    world: World, monkeypatch: pytest.MonkeyPatch, no_sqlite: Callable[[], None]
) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    # one of the training questions lacks its rationale, another one's is left out by a filter
    rows[1]["rationale"] = "Nobody knows who it was."
    write_jsonl(world.folder / "rationales.jsonl", rows[1:])
    first = module(world, missing_rationales="drop")
    first.prepare_data()
    first.setup("fit")
    monkeypatch.setattr(sharing, "prepares", lambda data: False)
    no_sqlite()
    second = module(world, missing_rationales="drop")
    second.setup("fit")
    for split in ("train", "validation", "test"):
        assert list(second.examples[split]) == list(first.examples[split])
        assert dict(second.preparation.written(split)) == dict(first.preparation.written(split))
    assert second.summary() == first.summary()
    with pytest.raises(InputError, match="this process only reads the cache"):
        second.cache.put("kind", {"a": b"1"})


# What is looked at


def test_items_are_put_together_when_they_are_asked_for() -> None:
    rationales = {"q3": Rationale("q3", "Ada."), "q1": Rationale("q1", "Ada again.")}
    asked = []

    def passages(question: Question) -> list[Any]:
        asked.append(question.id)
        return []

    items = Items(QUESTIONS, rationales, passages)
    assert len(items) == 2
    assert asked == []
    expected = [(QUESTIONS[n], rationales[f"q{n}"], []) for n in (1, 3)]
    assert list(items) == items[:] == expected
    assert items[-1] == expected[1]
    assert asked == ["q1", "q3", "q1", "q3", "q3"]


def test_what_fails_no_filter_is_kept() -> None:
    found = {name: Rationale(name, "Ada.") for name in ("q0", "q1", "q2")}
    kept = Kept(found, {"q1": ["empty"], "q2": []})
    assert dict(kept) == {name: found[name] for name in ("q0", "q2")}
    assert (len(kept), "q1" in kept, "q2" in kept, "q9" in kept) == (2, False, True, False)
    assert kept.get("q1") is None


def test_reading_rationales_takes_little_memory(tmp_path: Path) -> None:
    count, words = 2000, "so that ships came home in fog " * 10
    questions = [Question(f"q{n}", f"Who lit lamp {n}?", ("Ada",)) for n in range(count)]
    writer, cache = Rows(), Cache(tmp_path / "radio.sqlite")
    row = {"model": "m", "prompt": "", "outcome": "written", "usage": {"output": 60}}
    asked = [Request(writer.key(question), question) for question in questions]
    entries = {one.key: {**row, "rationale": f"Ada lit {one.question.id} {words}"} for one in asked}
    cache.put_json("rationale", entries)
    written(writer, lambda: asked, cache)
    tracemalloc.start()
    try:
        found = written(writer, lambda: asked, reader(cache))
        items = Items(questions, found, lambda question: [])
        # the others keep the texts of the last 20,000 that they have looked at
        failed = QualityChecks().run(items, cache, ["empty", "truncated"])
        kept = Kept(found, failed)
        assert sum(len(one.text) > 300 for one in kept.values()) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # as objects of Python a thousand and more
    assert peak / count < 250
