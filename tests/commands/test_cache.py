"""``radio cache``: what was paid for can be counted, moved to another machine and thrown away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rationales import Recorded, Request
from radio.rationales.base import to_row
from radio.schema import Question, Rationale
from tests.conftest import entries, read_jsonl, write_jsonl

Radio = Callable[..., tuple[int, str, str]]


def store(folder: Path, rationales: list[tuple[Question, Rationale]], **other: Any) -> Cache:
    cache = Cache(folder / "radio.sqlite")
    for number, (question, rationale) in enumerate(rationales):
        cache.put_json("rationale", {f"key-{number}": to_row(question, rationale)})
    cache.put_json("answer", {f"answer-{key}": value for key, value in other.items()})
    cache.put("embedding", {"vector": b"\xff\x00\xfe"})
    return cache


LAMP = Question("q1", "Who lit the lamp?", ("Ada",))
BELL = Question("q2", "Who rang the bell?", ("Bo",))
ROWS = [
    (LAMP, Rationale("q1", "Ada was the keeper.", "m-1", "aaaa", {"input": 100, "output": 40})),
    (
        BELL,
        Rationale(
            "q2",
            "Bo stood",
            "m-1",
            "bbbb",
            {"input": 100, "output": 300},
            "truncated",
            {"id": "msg_1"},
        ),
    ),
]


def test_info_counts_entries_and_tokens(radio: Radio, tmp_path: Path) -> None:
    store(tmp_path / ".radio_cache", ROWS, x="Ada")
    status, out, _ = radio("cache", "info")
    assert status == 0
    for part in ("rationale", "answer", "embedding", "m-1", "truncated", "300"):
        assert part in out


def test_what_is_exported_is_read_as_recorded_and_imported_elsewhere(
    radio: Radio, tmp_path: Path
) -> None:
    store(tmp_path / "one", ROWS, x="Ada")
    assert (
        radio("cache", "export", "out.jsonl", "--cache_dir", "one")[1]
        == "3 entries written to out.jsonl\n"
    )
    assert radio("cache", "import", "out.jsonl", "--cache_dir", "two")[1].startswith(
        "3 of 3 entries are new"
    )
    assert radio("cache", "import", "out.jsonl", "--cache_dir", "two")[1].startswith(
        "0 of 3 entries are new"
    )
    one, two = (Cache(tmp_path / name / "radio.sqlite") for name in ("one", "two"))
    for kind in ("rationale", "answer"):
        assert sorted(one.items_json(kind), key=str) == sorted(two.items_json(kind), key=str) != []
    assert radio("cache", "export", "r.jsonl", "--kind", "rationale", "--cache_dir", "two")[0] == 0
    found = list(
        Recorded(str(tmp_path / "r.jsonl")).write([Request("", LAMP), Request("", BELL)], two)
    )
    assert [(r.question_id, r.text, r.outcome) for r in found] == [
        ("q1", "Ada was the keeper.", "written"),
        ("q2", "Bo stood", "truncated"),
    ]


def test_ids_that_two_datasets_share_are_left_out_so_that_rationales_join_by_text(
    radio: Radio, tmp_path: Path
) -> None:
    other = Question("q1", "What is bread made of?", ("flour",))
    store(tmp_path / "one", [*ROWS, (other, Rationale("q1", "Flour is the base."))])
    assert (
        radio("cache", "export", "out.jsonl", "--kind", "rationale", "--cache_dir", "one")[0] == 0
    )
    recorded = Recorded(str(tmp_path / "out.jsonl"))
    requests = [Request("", question) for question in (LAMP, other, BELL)]
    texts = [r.text for r in recorded.write(requests, Cache(tmp_path / "unused.sqlite"))]
    assert texts == ["Ada was the keeper.", "Flour is the base.", "Bo stood"]


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        (("--kind", "answer"), {"key-0", "key-1", "vector"}),
        (("--outcome", "truncated"), {"key-0", "answer-x", "vector"}),
        (("--prompt", "aa"), {"key-1", "answer-x", "vector"}),
        (("--model", "m-2"), {"key-0", "key-1", "answer-x", "vector"}),
        (("--older_than", "30"), {"key-1", "answer-x", "vector"}),
    ],
)
def test_prune_removes_what_is_chosen_and_only_when_told_twice(
    chosen: tuple[str, str], left: set[str], radio: Radio, tmp_path: Path
) -> None:
    cache = store(tmp_path / "one", ROWS, x="Ada")
    with sqlite3.connect(tmp_path / "one/radio.sqlite") as db:
        db.execute("UPDATE entries SET created = DATETIME('now', '-31 days') WHERE key = 'key-0'")
    every = {"key-0", "key-1", "answer-x", "vector"}
    status, out, _ = radio("cache", "prune", *chosen, "--cache_dir", "one")
    assert (status, out[:12]) == (0, "would remove")
    assert set(cache.get(every)) == every
    assert radio("cache", "prune", *chosen, "--yes", "--cache_dir", "one")[0] == 0
    assert set(cache.get(every)) == left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info",), ".radio_cache/radio.sqlite: no such file"),
        (("prune", "--cache_dir", "one", "--yes"), "say what to remove"),
        (
            ("export", "out.jsonl", "--kind", "embedding", "--cache_dir", "one"),
            "are numbers, not text",
        ),
        (("import", "bad.jsonl", "--cache_dir", "one"), "bad.jsonl:1: key 'kind' is missing"),
        (("import", "gone.jsonl", "--cache_dir", "one"), "gone.jsonl: no such file"),
    ],
)
def test_mistakes_are_one_message(
    arguments: tuple[str, ...], message: str, radio: Radio, tmp_path: Path
) -> None:
    cache = store(tmp_path / "one", ROWS)
    write_jsonl(tmp_path / "bad.jsonl", [{"key": "k", "rationale": "r"}])
    status, _, err = radio("cache", *arguments)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert entries(cache) == {"embedding": 1, "rationale": 2}
    assert not (tmp_path / "out.jsonl").exists()


def test_an_export_is_complete_json(radio: Radio, tmp_path: Path) -> None:
    store(tmp_path / "one", ROWS)
    radio("cache", "export", "out.jsonl", "--outcome", "truncated", "--cache_dir", "one")
    (row,) = read_jsonl(tmp_path / "out.jsonl")
    assert {
        name: row[name]
        for name in ("id", "question", "rationale", "outcome", "kind", "key", "response")
    } == {
        "id": "q2",
        "question": "Who rang the bell?",
        "rationale": "Bo stood",
        "outcome": "truncated",
        "kind": "rationale",
        "key": "key-1",
        "response": {"id": "msg_1"},
    }
