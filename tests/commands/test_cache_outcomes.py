"""``radio cache`` on what came back empty, what is damaged, and what it cannot read or write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.rationales import Recorded, Request
from radio.rationales.base import to_row
from radio.schema import Question, Rationale
from tests.conftest import entries, read_jsonl, write_jsonl

Radio = Callable[..., tuple[int, str, str]]
LAMP = Question("q1", "Who lit the lamp?", ("Ada",))


def row(text: str, outcome: str = "written") -> dict[str, object]:
    return to_row(LAMP, Rationale("q1", text, "m-1", outcome=outcome))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A rationale and an answer of each outcome, and what has none."""
    made = Cache(tmp_path / "one/radio.sqlite")
    rationales = {
        "written": row("Ada was the keeper."),
        "empty": row("", "empty"),
        # as the first version noted it
        "blank": row(" \n\t "),
        "refused": row("", "refused"),
        "truncated": row("Ada was", "truncated"),
        # a model that thinks until its limit
        "thinks": row("", "truncated"),
    }
    made.put_json("rationale", rationales)
    made.put_json(
        "answer", {"said": {"answer": "Ada", "model": "r"}, "silent": {"answer": "", "model": "r"}}
    )
    made.put_json("teacher", {"scores": {"p1": 0.5}})
    made.put("embedding", {"vector": b"\xff\x00\xfe\x00"})
    return made


@pytest.mark.parametrize(
    ("arguments", "removed"),
    [
        (("--outcome", "empty"), {"empty", "blank", "silent"}),
        (("--outcome", "empty", "--kind", "rationale"), {"empty", "blank"}),
        (("--outcome", "empty", "--kind", "answer"), {"silent"}),
        (("--outcome", "refused"), {"refused"}),
        (("--outcome", "truncated"), {"truncated", "thinks"}),
        (("--outcome", "written"), {"written", "said"}),
        (("--key", "scores"), {"scores"}),
    ],
)
def test_prune_removes_what_ended_so(
    arguments: tuple[str, ...], removed: set[str], cache: Cache, radio: Radio, tmp_path: Path
) -> None:
    before = {key for (key,) in cache.query("SELECT key FROM entries")}
    status, out, _ = radio("cache", "prune", *arguments, "--cache_dir", "one")
    assert (status, out.startswith("would remove")) == (0, True)
    assert radio("cache", "prune", *arguments, "--yes", "--cache_dir", "one")[0] == 0
    assert before - {key for (key,) in cache.query("SELECT key FROM entries")} == removed


def test_info_counts_the_empty_ones(cache: Cache, radio: Radio) -> None:
    status, out, _ = radio("cache", "info", "--cache_dir", "one")
    assert status == 0
    (line,) = [line for line in out.splitlines() if "empty" in line]
    assert "2" in line


def test_an_export_of_empty_rationales_is_read_as_recorded(
    cache: Cache, radio: Radio, tmp_path: Path
) -> None:
    assert (
        radio(
            "cache",
            "export",
            "out.jsonl",
            "--outcome",
            "empty",
            "--kind",
            "rationale",
            "--cache_dir",
            "one",
        )[0]
        == 0
    )
    rows = read_jsonl(tmp_path / "out.jsonl")
    write_jsonl(tmp_path / "out.jsonl", [row for row in rows if row["outcome"] == "empty"])
    (found,) = Recorded(str(tmp_path / "out.jsonl")).write([Request("", LAMP)], cache)
    assert (found.text, found.outcome) == ("", "empty")


def test_a_damaged_entry_is_named_counted_and_removed(cache: Cache, radio: Radio) -> None:
    cache.put("rationale", {"broken": b'{"rationale": "Ada'})
    assert radio("cache", "info", "--cache_dir", "one")[0] == 0
    status, _, err = radio("cache", "export", "out.jsonl", "--cache_dir", "one")
    assert status == 2
    assert "the entry broken (rationale) is damaged" in err
    assert "radio cache prune --key broken --cache_dir one --yes" in err
    assert (
        radio("cache", "prune", "--key", "broken", "--cache_dir", "one", "--yes")[1]
        == "removed: 1 rationale\n"
    )
    assert radio("cache", "export", "out.jsonl", "--cache_dir", "one")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prune", "--older_than", "-5"), "found -5, expected a number of days, 0 or more"),
        (("prune", "--older_than", "nan"), "found nan, expected a number of days"),
        (("export", "folder"), "folder: cannot be written"),
        (
            ("import", "numbers.jsonl"),
            "numbers.jsonl:1: key 'kind': found 'embedding', expected entries that are text",
        ),
        (("import", "other.jsonl"), "other.jsonl:1: found no rationale of 'radio cache export'"),
    ],
)
def test_mistakes_are_one_message(
    arguments: tuple[str, ...], message: str, cache: Cache, radio: Radio, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    write_jsonl(tmp_path / "numbers.jsonl", [{"key": "k", "kind": "embedding", "value": [1, 2]}])
    write_jsonl(tmp_path / "other.jsonl", [{"key": "k", "kind": "rationale", "text": "why"}])
    before = entries(cache)
    status, _, err = radio("cache", *arguments, "--cache_dir", "one")
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert entries(cache) == before
