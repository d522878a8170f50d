"""A cache on a network file system, and one that a process only reads."""

from __future__ import annotations

import pickle
import sqlite3
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from radio import cache as module
from radio.cache import Cache
from radio.mounts import Mount
from radio.schema import InputError
from tests.conftest import entries
from tests.test_cache_unusable import closed


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets all folders lie on a network from now on."""

    def connect() -> None:
        monkeypatch.setattr(module, "network_mount", lambda folder: Mount("nfs4", folder.parent))

    monkeypatch.setattr(module, "_WARNED", set())
    return connect


def mode_of(cache: Cache) -> str:
    ((mode,),) = cache.query("PRAGMA journal_mode")
    return str(mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left_in_wal_mode(path: Path) -> None:
    """As a process of an earlier version leaves a file: with an entry, and nobody else uses it."""
    cache = Cache(path)
    cache.put("kind", {"a": b"1"})
    closed(cache)


# On a network


def test_the_journal_on_a_network_is_one_that_machines_can_share(
    network: Callable[[], None], tmp_path: Path
) -> None:
    network()
    cache = Cache(tmp_path / "radio.sqlite")
    with pytest.warns(UserWarning, match="network"):
        cache.put("kind", {"a": b"1"})
    assert mode_of(cache) == "truncate"
    assert list(cache.query("PRAGMA synchronous")) == [(2,)]
    # no memory that only one machine shares
    assert names(tmp_path) == ["radio.sqlite", "radio.sqlite-journal"]
    assert (tmp_path / "radio.sqlite-journal").stat().st_size == 0


def test_on_a_disk_of_the_machine_the_journal_is_a_wal(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put("kind", {"a": b"1"})
    assert mode_of(cache) == "wal"
    assert list(cache.query("PRAGMA synchronous")) == [(2,)]


@pytest.mark.filterwarnings("ignore:.*network")
def test_a_file_of_an_earlier_version_leaves_wal_mode(
    network: Callable[[], None], tmp_path: Path
) -> None:
    left_in_wal_mode(tmp_path / "radio.sqlite")
    network()
    cache = Cache(tmp_path / "radio.sqlite")
    assert cache.get(["a"]) == {"a": b"1"}
    assert mode_of(cache) == "truncate"
    # another process finds the file so
    assert mode_of(Cache(tmp_path / "radio.sqlite")) == "truncate"
    assert names(tmp_path) == ["radio.sqlite", "radio.sqlite-journal"]


@pytest.mark.filterwarnings("ignore:.*network")
def test_the_log_of_a_killed_process_is_not_lost_with_the_wal(
    network: Callable[[], None], tmp_path: Path
) -> None:
    before = Cache(tmp_path / "first" / "radio.sqlite")
    before.put("kind", {"a": b"1"})
    before.put("kind", {"b": b"2"})
    (tmp_path / "copy").mkdir()
    # what a kill leaves: the entries are in the log alone
    for name in ("radio.sqlite", "radio.sqlite-wal"):
        (tmp_path / "copy" / name).write_bytes((tmp_path / "first" / name).read_bytes())
    network()
    cache = Cache(tmp_path / "copy" / "radio.sqlite")
    assert cache.get(["a", "b"]) == {"a": b"1", "b": b"2"}
    assert mode_of(cache) == "truncate"


@pytest.mark.filterwarnings("ignore:.*network")
def test_a_file_that_another_process_uses_in_wal_mode_is_not_touched(
    network: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Cache(tmp_path / "radio.sqlite")
    other.put("kind", {"a": b"1"})
    network()
    # the minute is over at once
    times = iter([0.0, 61.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    connect = module.sqlite3.connect
    monkeypatch.setattr(
        module.sqlite3, "connect", lambda path, **how: connect(path, **{**how, "timeout": 0})
    )
    with pytest.raises(InputError, match="another process has kept it locked"):
        Cache(tmp_path / "radio.sqlite").get(["a"])
    assert mode_of(other) == "wal"
    assert other.get(["a"]) == {"a": b"1"}


@pytest.mark.filterwarnings("ignore:.*network")
def test_two_that_write_in_turn_lose_nothing(network: Callable[[], None], tmp_path: Path) -> None:
    network()
    first, second = (Cache(tmp_path / "radio.sqlite") for _ in range(2))
    for number in range(5):
        first.put("first", {f"f{number}": b"1"})
        second.put("second", {f"s{number}": b"2"})
    assert entries(first) == entries(second) == {"first": 5, "second": 5}


def test_a_process_warns_once_with_what_to_do(network: Callable[[], None], tmp_path: Path) -> None:
    network()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Cache(tmp_path / "radio.sqlite").put("kind", {"a": b"1"})
        Cache(tmp_path / "radio.sqlite").get(["a"])
    (warning,) = said
    text = str(warning.message)
    assert text.startswith(f"{tmp_path}: the cache lies on a network file system (nfs4, mounted at")
    assert f"{tmp_path.parent})" in text
    assert "one command at a time" in text
    assert "--data.init_args.cache_dir" in text


# Only read


def reader(path: Path) -> Cache:
    cache = Cache(path)
    cache.read_only = True
    return cache


def test_who_only_reads_finds_what_is_there_and_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "radio.sqlite"
    Cache(path).put("kind", {"a": b"1"})
    opened = []
    connect = sqlite3.connect

    def noted(database: object, **options: object) -> sqlite3.Connection:
        opened.append(str(database))
        return connect(database, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", noted)
    # as a worker of a loader gets it
    cache = pickle.loads(pickle.dumps(reader(path)))
    assert cache.get(["a", "b"]) == {"a": b"1"}
    for change in (
        lambda: cache.put("kind", {"b": b"2"}),
        lambda: cache.delete(["a"]),
        lambda: cache.execute("DELETE FROM entries"),
    ):
        with pytest.raises(InputError, match=r"only reads the cache, .*radio prepare"):
            change()
    assert opened == [f"{path.as_uri()}?mode=ro"]


def test_who_only_reads_makes_no_file(tmp_path: Path) -> None:
    cache = reader(tmp_path / "new" / "radio.sqlite")
    assert cache.get(["a"]) == {}
    assert cache.missing(["a"]) == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_who_only_reads_a_file_in_wal_mode_on_a_network_makes_no_shared_memory(
    network: Callable[[], None], tmp_path: Path
) -> None:
    left_in_wal_mode(tmp_path / "radio.sqlite")
    network()
    assert reader(tmp_path / "radio.sqlite").get(["a"]) == {"a": b"1"}
    assert names(tmp_path) == ["radio.sqlite"]


@pytest.mark.filterwarnings("ignore:.*network")
def test_a_change_that_was_cut_off_is_no_state_to_read(
    network: Callable[[], None], tmp_path: Path
) -> None:
    network()
    whole = Cache(tmp_path / "first" / "radio.sqlite")
    whole.put("kind", {str(number): bytes(1000) for number in range(50)})
    db = whole._db()
    db.execute("PRAGMA cache_size=1")
    db.execute("BEGIN IMMEDIATE")
    # more than the memory for pages holds, so that some are in the file before the end
    db.execute("UPDATE entries SET value = zeroblob(2000)")
    (tmp_path / "copy").mkdir()
    for name in ("radio.sqlite", "radio.sqlite-journal"):
        (tmp_path / "copy" / name).write_bytes((tmp_path / "first" / name).read_bytes())
    db.execute("ROLLBACK")
    path = tmp_path / "copy" / "radio.sqlite"
    with pytest.raises(InputError, match=r"radio\.sqlite: a command was ended while it wrote"):
        reader(path).get(["1"])
    # whoever may write takes it back
    assert Cache(path).get(["1"]) == {"1": bytes(1000)}
    assert reader(path).get(["1"]) == {"1": bytes(1000)}
