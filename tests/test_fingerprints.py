"""Fingerprints change with what a result depends on, and with nothing else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from radio.fingerprints import (
    Fingerprinted,
    _file_digest,
    code_of,
    fingerprint,
    path_fingerprint,
)
from radio.rerankers import CrossEncoder, Reranker
from radio.schema import InputError


class Part(Fingerprinted):
    def __init__(self, size: int = 1, inner: Any = None) -> None:
        self.size = size
        self.inner = inner
        self._loaded = object()


class OtherPart(Part):
    pass


def test_a_fingerprint_is_the_same_on_every_machine() -> None:
    text = '{"a":true,"b":[1,"é",null],"c":{"d":0.5}}'
    assert (
        fingerprint({"c": {"d": 0.5}, "b": (1, "é", None), "a": True})
        == hashlib.sha256(text.encode()).hexdigest()
    )


def test_equal_parts_have_equal_fingerprints() -> None:
    assert Part(2, Part(3)).fingerprint() == Part(2, Part(3)).fingerprint()
    assert fingerprint([Part(2)]) == fingerprint([Part(2).fingerprint()])


def test_a_fingerprint_changes_with_every_setting() -> None:
    parts = [
        Part(),
        Part(2),
        Part(inner="x"),
        Part(inner=["x"]),
        Part(inner=Part()),
        Part(inner=Part(2)),
        Part(inner={"a": 1}),
        Part(inner={"a": "1"}),
        OtherPart(),
    ]
    assert len({part.fingerprint() for part in parts}) == len(parts)


def test_a_fingerprint_changes_with_the_version_of_the_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = Part().fingerprint()
    monkeypatch.setattr(Part, "version", 2)
    assert Part().fingerprint() != before


def test_attributes_that_start_with_an_underscore_do_not_count() -> None:
    part = Part()
    before = part.fingerprint()
    part._loaded = "a large model"  # type: ignore[assignment]
    assert part.fingerprint() == before


def test_a_public_attribute_that_cannot_be_fingerprinted_is_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"cannot fingerprint set \(\{1, 2\}\): keep such objects in attributes that",
    ):
        Part(inner={1, 2}).fingerprint()


def test_a_file_counts_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt"))
    first.write_text("same")
    copy.write_text("same")
    other.write_text("else")
    assert (
        Part(inner=first).fingerprint()
        == Part(inner=copy).fingerprint()
        != Part(inner=other).fingerprint()
    )
    before = path_fingerprint(first)
    first.write_text("a longer text")
    assert path_fingerprint(first) != before


def test_a_folder_counts_by_its_files_and_their_names(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "x").write_text("text")
    assert path_fingerprint(tmp_path / "a") == path_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "deep" / "x").rename(tmp_path / "b" / "deep" / "y")
    assert path_fingerprint(tmp_path / "a") != path_fingerprint(tmp_path / "b")


def test_a_large_file_is_read_once_whatever_process_asks_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.fingerprints.LARGE", 4)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    index = tmp_path / "index.faiss"
    index.write_text("vectors")
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: read.append(file.name) or digest(file, kind)
    )

    def ask() -> str:
        _file_digest.cache_clear()  # as a new process has it
        return path_fingerprint(index)

    before = ask()
    assert ask() == before
    assert len(read) == 1
    # as long as before, and with the old time of modification
    times = index.stat().st_atime_ns, index.stat().st_mtime_ns
    index.write_text("Vectors")
    os.utime(index, ns=times)
    assert ask() != before
    assert len(read) == 2
    # nowhere to keep it: read each time
    monkeypatch.setenv("XDG_CACHE_HOME", str(index))
    index.write_text("vectors")
    assert ask() == ask() == before
    assert len(read) == 4


@pytest.mark.parametrize("left", [b"", b"0" * 63, b"0" * 65, b"\0" * 64, b"\xff" * 64])
def test_a_kept_digest_that_is_none_is_not_believed(
    left: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.fingerprints.LARGE", 4)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    index = tmp_path / "index.faiss"
    index.write_text("vectors")
    _file_digest.cache_clear()
    before = path_fingerprint(index)
    (kept,) = (tmp_path / "home/radio/digests").iterdir()
    digest = kept.read_bytes()
    # as a power cut may leave it
    kept.write_bytes(left)
    _file_digest.cache_clear()
    assert path_fingerprint(index) == before
    assert kept.read_bytes() == digest


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path / 'gone'}: no such file"):
        fingerprint({"path": tmp_path / "gone"})


def test_the_code_of_a_class_of_ones_own_is_its_file_and_that_of_a_shipped_one_its_name() -> None:
    class Mine(CrossEncoder):
        pass

    shipped = code_of(CrossEncoder, Reranker)
    assert shipped == [["CrossEncoder", None]]
    (name, digest), *rest = code_of(Mine, Reranker)
    assert name.endswith("Mine")
    assert digest == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert rest == shipped


def test_a_class_without_a_source_is_refused() -> None:
    unknown = type("Unknown", (CrossEncoder,), {"__module__": "typed.in"})
    with pytest.raises(InputError, match="Unknown: found no source of this class"):
        code_of(unknown, Reranker)
