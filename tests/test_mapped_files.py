"""Files of values by id: on the disk before they have their name, checked when they are opened, of
one builder at a time."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from radio import mapped, mapped_files
from radio.mapped_files import Row, build, clear, open_files
from radio.schema import InputError
from tests import forked
from tests.conftest import ROOT, shown
from tests.synced import Synced
from tests.test_mapped import Numbers, opened, rows


def change(path: Path, old: bytes, new: bytes) -> None:
    """As a disk that forgets: as long as before."""
    data = path.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))


# Written


def test_all_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Synced(monkeypatch)
    opened(tmp_path / "numbers", rows(3))
    synced.check(tmp_path / "numbers", files=4)


@pytest.mark.parametrize("mask", [0o022, 0o007])
def test_others_may_read_it_as_the_umask_says(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        opened(tmp_path / "numbers", rows(3))
    finally:
        os.umask(before)
    home = tmp_path / "numbers"
    assert stat.S_IMODE(home.stat().st_mode) == 0o777 & ~mask
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o666 & ~mask}


def test_a_batch_ends_where_its_text_would_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_files, "BATCH", 4)
    monkeypatch.setattr(mapped_files, "BATCH_BYTES", 100)
    sizes = [1, 1, 1, 1, 1, 60, 60, 200, 1]
    numbers = opened(tmp_path / "numbers", [("", str(n), "7" * n) for n in range(1, 6)])
    assert list(numbers.values()) == [7, 77, 777, 7777, 77777]
    texts = opened(tmp_path / "texts", [("", f"n{n}", "7" * size) for n, size in enumerate(sizes)])
    assert texts.contents(range(len(sizes))) == ["7" * size for size in sizes]
    files = open_files(tmp_path / "texts", "numbers")
    assert [len(chunk) for chunk in files.texts.chunks] == [4, 2, 1, 1, 1]


def test_a_text_that_no_batch_can_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_files, "LONGEST", 100)
    with pytest.raises(InputError, match=r"line 7: id 'n': found 102 bytes of text, expected at m"):
        opened(tmp_path / "numbers", [("line 7", "n", "é" * 50 + "7")])
    assert shown(tmp_path) == []


@pytest.mark.parametrize("row", [("line 7", "n\ud83d", "7"), ("line 7", "n", "7\ud83d")])
def test_half_a_character_is_named(row: Row, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 7: id 'n.*': found a broken character"):
        opened(tmp_path / "numbers", [row])
    assert shown(tmp_path) == []


def test_an_id_stands_once_whatever_has_the_same_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (mapped, mapped_files):
        monkeypatch.setattr(where, "hash_of", lambda _: 1)
    assert dict(opened(tmp_path / "numbers", rows(4))) == {f"n{n}": n for n in range(4)}
    with pytest.raises(InputError, match=r"^else: id 'n1' is a duplicate, first used at row 1$"):
        opened(tmp_path / "others", [*rows(4), ("else", "n1", "8")])


# Opened


@pytest.mark.parametrize("name", ["hashes.npy", "rows.npy"])
def test_a_page_of_zeros_is_found_when_it_is_opened(name: str, tmp_path: Path) -> None:
    home = tmp_path / "numbers"
    opened(home, rows(2000))
    data = bytearray((home / name).read_bytes())
    data[4096:8192] = bytes(4096)
    (home / name).write_bytes(data)
    with pytest.warns(UserWarning, match=rf"is damaged \({name} is not as it was written\); it is"):
        again = opened(home, rows(2000))
    assert sum(f"n{n}" in again for n in range(2000)) == 2000


@pytest.mark.parametrize("new", [b"700087", b"\xff00078"])
def test_a_text_that_was_changed_is_found_when_it_is_read(new: bytes, tmp_path: Path) -> None:
    home = tmp_path / "numbers"
    opened(home, [("", f"n{n}", str(700_000 + n)) for n in range(80)])
    change(home / "numbers.arrow", b"700078", new)
    numbers = opened(home, [])
    assert numbers["n77"] == 700_077
    assert numbers.contents(range(70, 78))[0] == "700070"
    for read in (
        lambda: numbers["n78"],
        lambda: numbers.find(["n78"]),
        lambda: numbers.values()[78],
        lambda: list(numbers.values()),
        lambda: numbers.contents(range(70, 80)),
    ):
        with pytest.raises(
            InputError, match=rf"^{home}: the cached list of numbers is damaged \(row .*; delete"
        ):
            read()


def test_one_of_an_earlier_version_is_opened_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    home = tmp_path / "numbers"
    opened(home, rows(3))
    facts = json.loads((home / "facts.json").read_text())
    del facts["digests"]
    (home / "facts.json").write_text(json.dumps(facts))
    table = pa.ipc.open_stream((home / "numbers.arrow").read_bytes()).read_all()
    with pa.ipc.new_stream(str(home / "numbers.arrow"), table.drop("digest").schema) as writer:
        writer.write_table(table.drop("digest"))
    monkeypatch.setattr(mapped, "build", lambda *_: pytest.fail("built again"))
    again = opened(home, [])
    assert dict(again) == {"n0": 0, "n1": 1, "n2": 2}
    assert list(again.values()) == [0, 1, 2]
    assert again.contents(range(1, 3)) == ["1", "2"]


def test_what_is_whole_is_read_as_it_was_written(tmp_path: Path) -> None:
    build(tmp_path / "numbers", "numbers", lambda: rows(3))
    files = open_files(tmp_path / "numbers", "numbers")
    assert files.names.to_pylist() == ["n0", "n1", "n2"]
    assert files.texts.to_pylist() == ["0", "1", "2"]
    assert sorted(files.rows) == [0, 1, 2]
    assert np.all(files.hashes[1:] > files.hashes[:-1])


# Several builders

KILLED = """
import os, signal, sys
from pathlib import Path
from radio import mapped_files
from tests.test_mapped import opened, rows

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

mapped_files.sync = killed
opened(Path(sys.argv[1]), rows(3))
"""


def test_what_a_killed_builder_has_left_is_swept_up_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "numbers"
    (tmp_path / ".numbers-of-others.1234").mkdir()
    done = forked.run([sys.executable, "-c", KILLED, str(home)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(shown(tmp_path)) == 2
    opened(home, rows(3))
    assert shown(tmp_path) == [tmp_path / ".numbers-of-others.1234", home]


def test_what_is_damaged_is_put_away_as_a_whole(tmp_path: Path) -> None:
    home = tmp_path / "numbers"
    opened(home, rows(3))
    with pytest.warns(UserWarning, match=r"is damaged \(cut off\); it is built again"):
        clear(home, "list of numbers", "cut off")
    assert shown(tmp_path) == []


def test_of_two_that_find_it_damaged_the_second_takes_what_the_first_has_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "numbers"
    opened(home, rows(3))
    (home / "facts.json").write_text("")
    alone = mapped.alone

    def after_another(*asked: object) -> object:
        monkeypatch.setattr(mapped, "alone", alone)
        with pytest.warns(UserWarning, match="is built again"):
            opened(home, rows(3))
        return alone(*asked)  # type: ignore[arg-type]

    def refuse() -> Iterator[Row]:
        raise AssertionError("the other one has built it")

    monkeypatch.setattr(mapped, "alone", after_another)
    second = Numbers()
    second.fill(home, refuse)
    assert dict(second) == {"n0": 0, "n1": 1, "n2": 2}
    assert shown(tmp_path) == [home]
