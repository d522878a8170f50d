"""The corpus in the cache: built again when damaged, and never written to when it is whole."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.corpus import DiskCorpus
from radio.schema import InputError, Passage
from tests.conftest import shown, write_jsonl


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_jsonl(
        tmp_path / "corpus.jsonl", [{"id": str(n), "contents": f"text {n}"} for n in range(50)]
    )


def cut(name: str) -> Callable[[Path], object]:
    def damage(home: Path) -> None:
        data = (home / name).read_bytes()
        (home / name).write_bytes(data[: len(data) // 2])

    return damage


DAMAGES = {
    "arrow cut off": cut("passages.arrow"),
    "hashes cut off": cut("hashes.npy"),
    "rows empty": lambda home: (home / "rows.npy").write_bytes(b""),
    "facts cut off": cut("facts.json"),
    "facts of something else": lambda home: (home / "facts.json").write_text("[]"),
    "no arrow": lambda home: (home / "passages.arrow").unlink(),
    "no facts": lambda home: (home / "facts.json").unlink(),
    "nothing": lambda home: [path.unlink() for path in home.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_built_again(damage: str, file: Path, tmp_path: Path) -> None:
    whole = DiskCorpus([file], tmp_path / "cache").fingerprint
    (home,) = shown(tmp_path / "cache")
    DAMAGES[damage](home)
    with pytest.warns(
        UserWarning, match=f"{home}: the cached corpus is damaged .*; it is built again"
    ):
        again = DiskCorpus([file], tmp_path / "cache")
    assert again.fingerprint == whole
    assert again["7"] == Passage("7", "text 7")
    assert shown(tmp_path / "cache") == [home], "nothing else is left"


def test_a_damaged_corpus_that_cannot_be_replaced_is_one_message(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DiskCorpus([file], tmp_path / "cache")
    (home,) = shown(tmp_path / "cache")
    (home / "facts.json").unlink()
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(
        InputError, match=r"damaged \(.*\) and cannot be replaced \(Read-only file system\)"
    ):
        DiskCorpus([file], tmp_path / "cache")


def read_only(**_: object) -> str:
    raise OSError(30, "Read-only file system")


def test_a_whole_corpus_is_read_from_a_disk_that_is_read_only(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DiskCorpus([file], tmp_path / "cache")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = DiskCorpus([file], tmp_path / "cache")
    assert corpus["49"].contents == "text 49"
    assert len(list(corpus.values())) == 50
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_corpus_that_cannot_be_written_is_one_message(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/cache/.*: cannot be written \(Read-only .*--data.init_arg"
    ):
        DiskCorpus([file], tmp_path / "cache")


def test_parquet_is_known_by_its_name_in_any_case(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a"], "contents": ["text"]}), tmp_path / "corpus.PARQUET")
    assert DiskCorpus([tmp_path / "corpus.PARQUET"], tmp_path / "cache")["a"].contents == "text"
