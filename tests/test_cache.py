"""The cache: keys that change when the result would, and a store that loses nothing."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.schema import InputError
from tests.conftest import PATIENCE, entries


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "folder" / "cache.sqlite")


# Fingerprints


# The store


def test_what_was_put_is_found_again(cache: Cache, tmp_path: Path) -> None:
    items = {f"key-{i}": f"value {i}".encode() for i in range(1234)}
    cache.put("number", items)
    for reader in (cache, Cache(str(cache.path))):
        assert reader.get([*items, "unknown", "key-7"]) == items
        assert reader.get([]) == {}


def test_missing_keys_are_named_once_and_in_order(cache: Cache) -> None:
    cache.put("kind", {f"{i}": b"" for i in range(600)})
    assert cache.missing(["z", "1", "a", "z", "599", "600"]) == ["z", "a", "600"]


def test_a_second_put_replaces_the_first(cache: Cache) -> None:
    cache.put("old", {"a": b"1", "b": b"2"})
    cache.put("new", {"a": b"3"})
    assert cache.get(["a", "b"]) == {"a": b"3", "b": b"2"}
    assert entries(cache) == {"new": 1, "old": 1}


def test_json_values_come_back_equal(cache: Cache) -> None:
    items = {"a": {"text": "naïve", "usage": {"out": 3}}, "b": [["p1", 0, 0.1]], "c": None}
    cache.put_json("kind", items)
    assert cache.get_json(["a", "b", "c", "d"]) == items


def test_a_put_that_fails_stores_nothing(cache: Cache) -> None:
    cache.put("kind", {"old": b"1"})
    items: dict[str, Any] = {"a": b"1", "old": b"2", "b": object(), "c": b"3"}
    with pytest.raises(sqlite3.Error):
        cache.put("kind", items)
    assert cache.get(["old", "a", "b", "c"]) == {"old": b"1"}
    cache.put("kind", {"a": b"4"})
    assert cache.get(["a"]) == {"a": b"4"}


def test_a_pickled_cache_reads_the_same_store(cache: Cache) -> None:
    cache.put("kind", {"a": b"1"})
    copy = pickle.loads(pickle.dumps(cache))
    copy.put("kind", {"b": b"2"})
    assert cache.get(["a", "b"]) == copy.get(["a", "b"]) == {"a": b"1", "b": b"2"}


def damaged(path: Path) -> None:
    Cache(path).put("kind", {f"key-{i}": bytes(500) for i in range(500)})
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    # the first page stays whole: the file still looks like a database
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE entries (something TEXT)")


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"no database " * 1000), Path.mkdir, damaged, foreign]
)
def test_a_file_that_is_no_cache_is_named(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    make(path)
    with pytest.raises(InputError, match=f"{path}: cannot use this file as the cache"):
        Cache(path).get(["key-1"])


# Several processes


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-c",
        "import sys\nfrom radio.cache import Cache\n" + code,
        *map(str, arguments),
    ]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


WRITER = """
cache = Cache(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for i in range(200):
    own = {f"{sys.argv[2]}-{i}-{j}": b"x" for j in range(3)}
    cache.put(sys.argv[2], own | {f"shared-{i}": b"same"})
"""


def test_processes_that_write_at_once_lose_nothing(cache: Cache) -> None:
    cache.put("first", {})
    writers = [start(WRITER, cache.path, name) for name in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=PATIENCE)
        assert writer.returncode == 0
    keys = [f"{name}-{i}-{j}" for name in ("one", "two") for i in range(200) for j in range(3)]
    assert cache.missing([*keys, *(f"shared-{i}" for i in range(200))]) == []
    assert sum(entries(cache).values()) == 1400


def test_a_cache_that_another_process_is_making_is_waited_for(cache: Cache) -> None:
    cache.path.parent.mkdir()
    other = sqlite3.connect(cache.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    release.start()
    try:
        cache.put("kind", {"a": b"1"})
    finally:
        release.join()
        other.close()
    assert cache.get(["a"]) == {"a": b"1"}


PUTS_WITHOUT_END = """
cache = Cache(sys.argv[1])
for i in range(10**9):
    cache.put("kind", {f"{i}-{j}": bytes(1000) for j in range(50)})
    print(i, flush=True)
"""


def test_a_killed_process_loses_no_put_that_returned(cache: Cache) -> None:
    writer = start(PUTS_WITHOUT_END, cache.path)
    assert writer.stdout is not None
    returned = [writer.stdout.readline() for _ in range(30)]
    writer.send_signal(signal.SIGKILL)
    returned += writer.communicate(timeout=PATIENCE)[0].splitlines()
    assert writer.returncode == -signal.SIGKILL
    last = int(returned[-1])
    assert cache.missing([f"{i}-{j}" for i in range(last + 1) for j in range(50)]) == []
    # of the put that was cut short, all or nothing
    assert entries(cache)["kind"] % 50 == 0
    cache.put("after", {"still": b"writable"})
    assert cache.get(["still"]) == {"still": b"writable"}


FORK = """
import os
cache = Cache(sys.argv[1])
cache.put("parent", {"before": b"1"})
connection = cache._db()
if (child := os.fork()) == 0:
    cache.put("child", {"child": b"2"})
    os._exit(cache._db() is connection)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
cache.put("parent", {"after": b"3"})
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_opens_its_own_connection(cache: Cache) -> None:
    # SQLite forbids to carry a connection across a fork, and data loader workers are forked on
    # Linux
    process = start(FORK, cache.path)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert entries(cache) == {"child": 1, "parent": 2}


def test_an_answer_is_on_the_disk_when_it_is_stored(tmp_path: Path) -> None:
    """SQLite syncs its log at each commit, and not now and then: a power cut takes nothing that was
    paid for."""
    cache = Cache(tmp_path / "radio.sqlite")
    full = 2
    assert list(cache.query("PRAGMA synchronous")) == [(full,)]
