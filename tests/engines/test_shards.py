"""Files of batches: what is read is what was written, and what cannot be is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.engines.shards import Shards, read, write
from radio.schema import InputError

ROWS = {
    "a": {"text": "é 灯", "tokens": [1, 2, 3], "none": [], "lists": [[1], [2, 3]], "share": 0.1},
    "b": {"text": "", "tokens": [], "none": [], "lists": [], "share": -1e-300},
}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "made/rows.parquet"
    write(path, ROWS)
    assert read(path) == ROWS
    values = {"a": {"value": b"\x00\xff"}, "b": {"value": b""}}
    write(path, values)
    assert read(path) == values
    assert [found.name for found in path.parent.iterdir()] == ["rows.parquet"]


def test_names_are_of_the_rows_and_of_the_work(tmp_path: Path) -> None:
    first, second = Shards(tmp_path, ["a model"]), Shards(tmp_path, ["another model"])
    assert first.folder != second.folder
    names = {shards.name(keys) for shards in (first, second) for keys in (["a"], ["a", "b"])}
    assert len(names) == 4
    assert Shards(tmp_path, ["a model"]).name(["a"]) in names


def test_what_is_complete_is_there_and_what_is_half_written_is_not(tmp_path: Path) -> None:
    shards = Shards(tmp_path, ["a model"])
    assert shards.there() == set()
    write(shards.done("whole"), ROWS)
    half = shards.done("whole").with_name(".half.parquet.machine.1")
    half.write_bytes(b"PAR1")
    assert shards.there() == {"whole"}
    shards.clear()
    assert not half.exists()
    shards.forget("whole")
    assert shards.there() == set()


def test_a_damaged_file_and_one_that_is_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(InputError, match=r"rows\.parquet: no such file on this machine"):
        read(path)
    write(path, ROWS)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"rows\.parquet: not a file of results, or a damaged"):
        read(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"file/rows\.parquet: cannot be written"):
        write(tmp_path / "file/rows.parquet", ROWS)
    with (
        pytest.raises(InputError, match="cannot be written"),
        Shards(tmp_path / "file", []).alone(),
    ):
        pass
