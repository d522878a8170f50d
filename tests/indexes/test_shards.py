"""Shards: what was written is read, and what is damaged or foreign is named."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from radio.indexes.shards import (
    Layout,
    check_digest,
    read_shard,
    shard_path,
    sweep,
    write_shard,
)
from radio.schema import InputError
from tests.synced import Synced

LAYOUT = Layout("an index", passages=10, precision="float16", size=4)
VECTORS = np.random.default_rng(0).standard_normal((10, 6), dtype=np.float32)


def write(folder: Path, layout: Layout = LAYOUT, vectors: Any = VECTORS) -> None:
    for number in range(layout.shards):
        rows = layout.rows(number)
        part = vectors[rows.start : rows.stop]
        write_shard(folder, layout, number, part, seconds=1.5, memory=7, gpu_memory=0)


def test_the_last_shard_has_what_is_left() -> None:
    assert [list(LAYOUT.rows(n)) for n in range(LAYOUT.shards)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_what_was_written_is_read(precision: Any, tmp_path: Path) -> None:
    layout = replace(LAYOUT, precision=precision)
    write(tmp_path, layout)
    for number in range(layout.shards):
        shard = read_shard(tmp_path, layout, number)
        expected = VECTORS[layout.rows(number).start : layout.rows(number).stop]
        np.testing.assert_array_equal(shard.vectors, expected.astype(precision))
        assert (shard.seconds, shard.memory, shard.gpu_memory) == (1.5, 7, 0)
        assert shard.size == shard_path(tmp_path, number).stat().st_size
        check_digest(tmp_path, number, shard)
        # plain safetensors, for other programs too
        plain = load_file(shard_path(tmp_path, number))
        np.testing.assert_array_equal(plain["embeddings"], shard.vectors)
    assert len(list(tmp_path.iterdir())) == layout.shards


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def pointer(path: Path) -> None:
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")


def of_others(path: Path) -> None:
    save_file({"weights": VECTORS}, path)


def from_elsewhere(path: Path) -> None:
    write(path.parent, replace(LAYOUT, identity="another"))


def neighbour(path: Path) -> None:
    path.write_bytes(shard_path(path.parent, 0).read_bytes())


def longer(path: Path) -> None:
    write(path.parent, replace(LAYOUT, size=5, identity=LAYOUT.identity))
    path.write_bytes(shard_path(path.parent, 0).read_bytes())


def precise(path: Path) -> None:
    write(path.parent, replace(LAYOUT, precision="float32"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (cut, "not a shard of an index, or a damaged one"),
        (empty, "not a shard of an index, or a damaged one"),
        (pointer, "not a shard of an index, or a damaged one"),
        (of_others, "not a shard of an index, or a damaged one"),
        (from_elsewhere, "a shard of another index or of other passages"),
        (neighbour, "a shard of another index or of other passages"),
        (longer, "a shard of another index or of other passages"),
        (precise, "a shard of another index or of other passages"),
        (Path.unlink, "no such file"),
    ],
)
def test_what_is_no_shard_of_this_place_is_named(
    change: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    write(tmp_path)
    change(shard_path(tmp_path, 1))
    with pytest.raises(InputError, match=rf"000001\.safetensors: {reason}.*run the same command"):
        read_shard(tmp_path, LAYOUT, 1)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    write(tmp_path)
    path = shard_path(tmp_path, 2)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    shard = read_shard(tmp_path, LAYOUT, 2)
    with pytest.raises(InputError, match=r"000002\.safetensors: damaged .* delete this file"):
        check_digest(tmp_path, 2, shard)


def test_a_number_that_is_too_large_for_float16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"number of 7e.04, expected at most 65504 for float16; set"
    ):
        write(tmp_path, vectors=np.full((10, 6), -7e4, dtype=np.float32))
    write(tmp_path, replace(LAYOUT, precision="float32"), np.full((10, 6), 7e4, dtype=np.float32))


def test_a_full_disk_leaves_no_half_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"000000\.safetensors: cannot be written \(No space left"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_commands_that_divide_the_shards_differently_may_write_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def beside_another(handle: int) -> None:
        fsync(handle)
        monkeypatch.setattr(os, "fsync", fsync)
        write(tmp_path)

    monkeypatch.setattr(os, "fsync", beside_another)
    write(tmp_path)
    assert len(list(tmp_path.iterdir())) == LAYOUT.shards
    check_digest(tmp_path, 0, read_shard(tmp_path, LAYOUT, 0))


def test_what_killed_processes_have_left_is_swept_up(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".000001.safetensors.0a1b2c3d").write_bytes(b"half")
    (tmp_path / ".lock-0-of-2").write_bytes(b"")
    sweep(tmp_path)
    names = {".lock-0-of-2", *(shard_path(tmp_path, n).name for n in range(LAYOUT.shards))}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_shard_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Synced(monkeypatch)
    write(tmp_path)
    for number in range(LAYOUT.shards):
        synced.check(shard_path(tmp_path, number))
