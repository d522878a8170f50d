"""A cache on a full or read-only disk, in an unusable place, or with damaged entries: used as far
as it goes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.fingerprints import path_fingerprint
from radio.rationales import RationaleWriter, Request, fill
from radio.rationales.base import read
from radio.schema import InputError, Question, Rationale
from tests.conftest import entries
from tests.disks import enterable, read_only

QUESTIONS = [Question(f"q{n}", f"Who lit lamp {n}?", ("Ada",)) for n in range(3)]


class Template(RationaleWriter):
    def write(self, requests: Any, cache: Cache) -> Iterator[Rationale]:
        for request in requests:
            yield Rationale(request.question.id, "Ada lit it.")


def requests(writer: RationaleWriter) -> list[Request]:
    return [Request(writer.key(question), question) for question in QUESTIONS]


# A full disk


def fill_disk(cache: Cache) -> None:
    """No page more than there are now: what SQLite says is what it says on a full disk."""
    pages = cache._db().execute("PRAGMA page_count").fetchone()[0]
    cache._db().execute(f"PRAGMA max_page_count = {pages}")


def test_on_a_full_disk_a_put_is_one_message_and_what_was_there_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    cache.put("kind", {"a": b"1"})
    fill_disk(cache)
    with pytest.raises(
        InputError, match=r"radio\.sqlite: the disk is full; what was stored before is kept"
    ):
        cache.put("kind", {str(n): bytes(5000) for n in range(50)})
    assert cache.get(["a", "0"]) == {"a": b"1"}
    cache._db().execute("PRAGMA max_page_count = 100000")
    cache.put("kind", {"b": b"2"})
    assert entries(cache) == {"kind": 2}


def test_a_disk_that_fills_up_while_rationales_are_written_is_one_message(tmp_path: Path) -> None:
    class Long(Template):
        def write(self, requests: Any, cache: Cache) -> Iterator[Rationale]:
            yield Rationale("q0", "Ada lit it.")
            fill_disk(cache)
            yield Rationale("q1", "Ada lit it. " * 5000)

    cache = Cache(tmp_path / "radio.sqlite")
    with pytest.raises(InputError, match="the disk is full"):
        fill(Long(), requests(Long()), cache, tmp_path / "failures.jsonl", "rationales")
    assert len(read({r.question.id: r.key for r in requests(Long())}, cache)) == 1


# A read-only disk


@pytest.fixture
def folder() -> Iterator[Path]:
    with enterable() as outer:
        (outer / "cache").mkdir()
        yield outer / "cache"


def closed(cache: Cache) -> None:
    """As the end of a process leaves it: one file."""
    cache._db().close()
    cache._connection = None


def test_a_filled_cache_on_a_read_only_disk_is_usable(folder: Path) -> None:
    writer = Template()
    cache = Cache(folder / "radio.sqlite")
    fill(writer, requests(writer), cache, folder / "failures.jsonl", "rationales")
    closed(cache)
    (folder / "radio.lock").unlink(missing_ok=True)
    with read_only(*folder.iterdir(), folder):
        again = Cache(folder / "radio.sqlite")
        counts = fill(writer, requests(writer), again, folder / "failures.jsonl", "rationales")
        assert counts == {"cached": 3}
        assert entries(again) == {"rationale": 3}
        again.put("nothing", {})
        with pytest.raises(
            InputError, match="cannot be written, and what this command has to store is not there"
        ):
            again.put("kind", {"a": b"1"})
        closed(again)


def test_what_a_read_only_cache_lacks_is_one_message_before_anything_is_paid(folder: Path) -> None:
    cache = Cache(folder / "radio.sqlite")
    cache.put("kind", {"a": b"1"})
    closed(cache)
    writer = Template()
    with read_only(*folder.iterdir(), folder), pytest.raises(InputError, match="cannot be written"):
        fill(
            writer,
            requests(writer),
            Cache(folder / "radio.sqlite"),
            folder / "failures.jsonl",
            "rationales",
        )


def test_a_folder_that_can_only_be_read_and_has_no_cache_is_one_message(folder: Path) -> None:
    with read_only(*folder.iterdir(), folder):
        with pytest.raises(InputError, match=r"radio\.sqlite: cannot use this file as the cache"):
            Cache(folder / "radio.sqlite").get(["a"])
        with pytest.raises(InputError, match=r"new: cannot be the folder of the cache .*cache_dir"):
            Cache(folder / "new" / "radio.sqlite").get(["a"])


# An unusable place


@pytest.mark.parametrize("place", ["file", "file/deeper", "x" * 300])
def test_a_folder_that_cannot_be_is_named(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        InputError, match=r"cannot be the folder of the cache \(.*\); choose another one"
    ):
        Cache(tmp_path / place / "radio.sqlite").put("kind", {"a": b"1"})


def test_long_keys_and_kinds_are_no_trouble(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    cache.put("k" * 100_000, {"x" * 1_000_000: b"1"})
    assert cache.get(["x" * 1_000_000]) == {"x" * 1_000_000: b"1"}


@pytest.mark.parametrize("kind", ["pipe", "name"])
def test_a_path_that_is_no_file_is_one_message_and_is_not_waited_for(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / ("x" * 300 if kind == "name" else "pipe")
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(InputError, match=r"cannot be read|this is a pipe|no such file"):
        path_fingerprint(path)


# Damaged entries

BROKEN = [b"", b'{"a": ', b"\xff\xfe\x00", b"[" * 200_000, b"9" * 5000]


@pytest.mark.parametrize("value", BROKEN, ids=["nothing", "cut", "no text", "nested", "number"])
def test_a_value_that_is_no_json_is_named_with_how_to_remove_it(
    value: bytes, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    cache.put("teacher", {"k1": value})
    command = f"radio cache prune --key k1 --cache_dir {tmp_path} --yes"
    match = rf"the entry k1 \(teacher\) is damaged \(.*{command}"
    with pytest.raises(InputError, match=match) as caught:
        cache.get_json(["k1"])
    assert len(str(caught.value)) < 1000
    with pytest.raises(InputError, match=match):
        cache.items_json("teacher")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        "text",
        {"rationale": 3, "model": "m", "prompt": "", "usage": {}, "outcome": "written"},
    ],
)
def test_a_rationale_of_another_form_is_named(value: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    cache.put_json("rationale", {"k1": value})
    with pytest.raises(InputError, match=r"the entry k1 \(rationale\) is damaged"):
        read({"q1": "k1"}, cache)


@pytest.mark.parametrize(
    "value", [b"", b"\x00\x00\x80", b"\x00\x00\xc0\x7f" * 32, b"\x00\x00\x80\x3f" * 31]
)
@pytest.mark.parametrize("tokens", [False, True])
def test_a_damaged_embedding_is_named(
    value: bytes, tokens: bool, tiny_bert: str, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    encoder = Encoder(tiny_bert, max_length=32)
    encode = encoder.encode_tokens if tokens else encoder.encode
    texts = ["lamp", "fog bell", "tide"]
    encode(texts, cache)
    key = next(key for (key,) in cache.query("SELECT key FROM entries ORDER BY key"))
    kind = "token embeddings" if tokens else "embedding"
    cache.put(kind, {key: value})
    with pytest.raises(InputError, match=rf"the entry {key} \({kind}\) is damaged"):
        encode(texts, cache)


def test_a_mistake_of_the_code_stays_one(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        Cache(tmp_path / "radio.sqlite").put("kind", {"a": object()})  # type: ignore[dict-item]
