"""``radio index``, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.encoders import Encoder

Radio = Callable[..., tuple[int, str, str]]


def dense(model: str, **settings: object) -> str:
    encoder = {"class_path": "Encoder", "init_args": {"model": model, "max_length": 32}}
    return json.dumps({"class_path": "Dense", "init_args": {"encoder": encoder, **settings}})


RETRIEVER = "--data.init_args.retriever"


def test_an_index_is_built_once_and_found_by_prepare(
    radio: Radio,
    tiny_run: list[str],
    tiny_bert: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = [*tiny_run, RETRIEVER, dense(tiny_bert)]
    status, out, err = radio("index", *chosen)
    assert status == 0, err
    said = dict(line.split(maxsplit=1) for line in out.splitlines() if line.startswith("  "))
    (folder,) = Path(".radio_cache/indexes").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert out.startswith(f"index: {folder}\n")
    assert said["fingerprint"] == manifest["index"]
    assert said["passages"] == "32"
    assert said["dimensions"] == "32 (float16)"
    assert said["encoder"] == tiny_bert
    assert said["size"].endswith("GB in 1 shards")
    assert "passages/s" in out
    assert "peak memory" in out
    # nothing else was done
    assert not Path("runs").exists()
    status, again, err = radio("index", *chosen)
    assert (status, again) == (0, out), err
    building = "radio.indexes.building.write_shard"
    monkeypatch.setattr(building, lambda *_, **__: pytest.fail("embedded again"))
    status, _, err = radio("prepare", *chosen)
    assert status == 0, err


def test_each_dense_retriever_of_a_hybrid_has_its_index(
    radio: Radio, tiny_run: list[str], tiny_bert: str
) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed (extra faiss)")
    parts = [
        dense(tiny_bert),
        json.dumps({"class_path": "BM25"}),
        dense(tiny_bert, kind="ivf", precision="float32"),
    ]
    hybrid = {"class_path": "Hybrid", "init_args": {"retrievers": list(map(json.loads, parts))}}
    status, out, err = radio("index", *tiny_run, RETRIEVER, json.dumps(hybrid))
    assert status == 0, err
    assert out.count("index: ") == len(list(Path(".radio_cache/indexes").iterdir())) == 2
    assert out.count("float16") == out.count("float32") == 1
    assert out.count("  ivf          1 lists, ") == 1


def test_parts_are_embedded_by_commands_of_their_own(
    radio: Radio, tiny_run: list[str], tiny_bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.indexes.building.SHARD", 10)
    chosen = [*tiny_run, RETRIEVER, dense(tiny_bert)]
    for part in ("1", "0"):
        status, out, err = radio("index", *chosen, "--part", part, "--parts", "2")
        assert status == 0, err
        assert out.endswith(f": part {part} of 2 is embedded\n")
    # which other machines may have open
    assert not Path(".radio_cache/radio.sqlite").exists()
    monkeypatch.setattr(Encoder, "computed", lambda *_, **__: pytest.fail("embedded again"))
    status, out, err = radio("index", *chosen)
    assert status == 0, err
    assert "GB in 4 shards" in out


@pytest.mark.parametrize(
    "given", [["--part", "2", "--parts", "2"], ["--part", "0"], ["--parts", "2"]]
)
def test_a_part_that_there_is_not_is_refused(
    given: list[str], radio: Radio, tiny_run: list[str], tiny_bert: str
) -> None:
    status, _, err = radio("index", *tiny_run, RETRIEVER, dense(tiny_bert), *given)
    assert status == 2
    assert "expected --part from 0 to one less than --parts, or none of them" in err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--part", "-1", "--parts", "2"], "radio index: part: found -1"),
        (["--part", "0", "--parts", "0"], "radio index: parts: found 0"),
    ],
)
def test_numbers_outside_their_range_are_refused(
    given: list[str], message: str, radio: Radio, tiny_run: list[str], tiny_bert: str
) -> None:
    status, _, err = radio("index", *tiny_run, RETRIEVER, dense(tiny_bert), *given)
    assert status == 2
    assert message in err


@pytest.mark.parametrize(
    ("retriever", "name"),
    [
        ('{"class_path": "BM25"}', "BM25"),
        ('{"class_path": "Dense", "init_args": {"index_path": "e5_Flat.index"}}', "Dense"),
    ],
)
def test_a_retriever_without_an_index_of_its_own_is_refused(
    retriever: str, name: str, radio: Radio, tiny_run: list[str]
) -> None:
    status, _, err = radio("index", *tiny_run, RETRIEVER, retriever)
    assert status == 2
    assert f"radio index: found {name}, expected a Dense retriever without index_path" in err
