"""Inverted lists over a flat index: what they find, and how they are built again."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.indexes import inverted
from radio.indexes.building import open_flat
from radio.indexes.flat import MANIFEST, FlatIndex
from radio.indexes.inverted import FILE, lists_for, open_inverted
from radio.schema import InputError
from tests import forked
from tests.conftest import ROOT
from tests.indexes.shared import Drawn, corpus_of
from tests.synced import Synced

faiss = pytest.importorskip("faiss", reason="faiss is not installed (extra faiss)")

QUERIES = np.random.default_rng(5).standard_normal((20, 16), dtype=np.float32)


def flat_in(folder: Path, precision: Any = "float16", passages: int = 900) -> FlatIndex:
    return open_flat(corpus_of(passages), Drawn(), Cache(folder / "radio.sqlite"), precision)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radio.indexes.building.SHARD", 25)
    monkeypatch.setattr(inverted, "PART", 8)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_all_lists_together_find_what_the_flat_index_finds(precision: Any, tmp_path: Path) -> None:
    flat = flat_in(tmp_path, precision)
    index = open_inverted(flat, 12, "nprobe=12")
    assert (index.passages, index.dimensions) == (900, 16)
    scores, rows = index.search(QUERIES, 30)
    expected_scores, expected_rows = flat.search(QUERIES, 30)
    np.testing.assert_array_equal(rows, expected_rows)
    # the same numbers, added up in float32
    np.testing.assert_allclose(scores, expected_scores, rtol=2e-6)


def test_few_lists_find_most_of_it(tmp_path: Path) -> None:
    flat = flat_in(tmp_path)
    exact = flat.search(QUERIES, 10)[1]
    shares = []
    for probes in (1, 4, 12):
        rows = open_inverted(flat, 12, f"nprobe={probes}").search(QUERIES, 10)[1]
        shares.append(np.mean([np.isin(a, b).mean() for a, b in zip(exact, rows, strict=True)]))
    assert 0.1 < shares[0] < shares[1] < shares[2] == 1


@pytest.mark.parametrize(
    ("passages", "lists"), [(5, 1), (400, 10), (100_000, 1024), (21_015_324, 16_384)]
)
def test_the_number_of_lists_follows_the_number_of_passages(passages: int, lists: int) -> None:
    assert lists_for(passages) == lists


def test_more_lists_than_passages_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lists: found 901, expected at most the 900 passages"):
        open_inverted(flat_in(tmp_path), 901, "")


def test_lists_are_built_once_and_leave_no_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = flat_in(tmp_path)
    first = open_inverted(flat, 12, "")
    found = sorted(path.name for path in first.path.parent.iterdir())
    assert found == [FILE, "lists.bin", MANIFEST]
    assert [path.name for path in flat.path.glob("ivf-*")] == [first.path.parent.name]
    monkeypatch.setattr(inverted, "_build", lambda *_: pytest.fail("built again"))
    again = open_inverted(flat, 12, "")
    np.testing.assert_array_equal(again.search(QUERIES, 5)[1], first.search(QUERIES, 5)[1])


def test_all_files_are_on_the_disk_before_the_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = flat_in(tmp_path)
    synced = Synced(monkeypatch)
    home = open_inverted(flat, 12, "").path.parent
    whole = home.with_name(f"{home.name}.parts") / "whole"
    for event, *paths in list(synced.events):
        # files that were renamed themselves, after they were synced
        if event == "renamed" and ("synced", paths[0]) in synced.events:
            synced.events.insert(0, ("synced", paths[1]))
    assert ("synced", whole / "lists.bin") in synced.events
    synced.check(home, files=3)


def test_an_index_that_was_moved_is_found_with_its_lists(tmp_path: Path) -> None:
    expected = open_inverted(flat_in(tmp_path / "here"), 12, "").search(QUERIES, 5)[1]
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = open_inverted(flat_in(tmp_path / "there"), 12, "")
    np.testing.assert_array_equal(moved.search(QUERIES, 5)[1], expected)


KILLED = """
import os, signal, sys
from pathlib import Path
from radio.indexes import building, inverted
from tests.indexes.test_inverted import flat_in

building.SHARD, inverted.PART = 25, 8
write, written = inverted._write, []

def killed_in_the_middle(index, path):
    if len(written) == 3:
        path.write_bytes(b"half")
        path.rename(path.with_name(f".{path.name}"))
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    write(index, path)

inverted._write = killed_in_the_middle
inverted.open_inverted(flat_in(Path(sys.argv[1])), 12, "")
"""


def test_a_killed_build_goes_on_after_its_last_whole_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = forked.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    written: list[str] = []
    write = inverted._write

    def noting(index: Any, path: Path) -> None:
        written.append(path.name)
        write(index, path)

    monkeypatch.setattr(inverted, "_write", noting)
    flat = flat_in(tmp_path)
    resumed = open_inverted(flat, 12, "nprobe=12").search(QUERIES, 30)
    # the centres and the first two parts were there
    assert written == ["000016.faiss", "000024.faiss", "000032.faiss", FILE]
    np.testing.assert_array_equal(resumed[1], flat.search(QUERIES, 30)[1])


@pytest.mark.parametrize("name", [FILE, "lists.bin"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    flat = flat_in(tmp_path)
    home = open_inverted(flat, 12, "").path.parent
    content = (home / name).read_bytes()
    # one that was cut off must not be mapped: the process would die
    (home / name).write_bytes(content[:100])
    with pytest.raises(InputError, match=rf"{name}: found 100 bytes, expected {len(content)}; del"):
        open_inverted(flat, 12, "")
    (home / name).unlink()
    with pytest.raises(
        InputError, match=r"ivf-12-.{8}: damaged \(.*\); delete this folder and run"
    ):
        open_inverted(flat, 12, "")
    shutil.rmtree(home)
    assert open_inverted(flat, 12, "").passages == 900


def test_parameters_that_lists_do_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="index_parameters 'efSearch=9' do not fit its IndexIVF"):
        open_inverted(flat_in(tmp_path), 12, "efSearch=9")
