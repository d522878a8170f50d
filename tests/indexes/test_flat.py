"""Search over shards: equal to comparing everything, and what is damaged is named."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from radio.cache import Cache
from radio.indexes.building import open_flat
from radio.indexes.flat import MANIFEST, FlatIndex
from radio.indexes.shards import shard_path
from radio.schema import InputError
from tests.indexes.shared import Drawn, brute_force, corpus_of, stored


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlatIndex:
    """Forty shards, of whose passages every second text comes again."""
    monkeypatch.setattr("radio.indexes.building.SHARD", 25)
    corpus = corpus_of(990, texts=500)
    return open_flat(corpus, Drawn(), Cache(tmp_path / "radio.sqlite"), "float16")


def queries(count: int = 9, dimensions: int = 16) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, dimensions), dtype=np.float32)


@pytest.mark.parametrize("k", [1, 30, 990])
def test_a_search_over_many_shards_finds_what_comparing_everything_finds(
    k: int, index: FlatIndex
) -> None:
    assert index.facts.shards == 40
    scores, rows = index.search(queries(), k)
    expected_scores, expected_rows = brute_force(queries(), stored(index), k)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(scores, expected_scores)


def test_rows_are_fetched_from_their_shards(index: FlatIndex) -> None:
    rows = np.array([0, 24, 25, 26, 500, 989])
    np.testing.assert_array_equal(index.at(rows), stored(index)[rows])
    texts = [f"Lamp {row % 500}" for row in rows]
    expected = Drawn().embed(texts, Cache(index.path / "unused"), title="")
    np.testing.assert_allclose(index.at(rows), expected, rtol=1e-3)


def test_rows_that_are_fetched_are_held_once(index: FlatIndex) -> None:
    rows = np.arange(990)
    # what is imported and allocated once
    index.at(rows)
    tracemalloc.start()
    found = index.at(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * found.nbytes


def test_the_manifest_says_what_was_built(index: FlatIndex) -> None:
    facts = index.facts
    assert (facts.passages, facts.dimensions, facts.precision) == (990, 16, "float16")
    assert facts.bytes == sum(path.stat().st_size for path in index.path.glob("*.safetensors"))
    assert facts.bytes > 990 * 16 * 2
    assert facts.seconds > 0
    assert facts.speed == pytest.approx(990 / facts.seconds)
    # the peak of this process, with torch in it
    assert facts.memory > 50e6
    assert facts.index.startswith(index.path.name)


def test_a_damaged_shard_is_named_by_the_search(index: FlatIndex) -> None:
    path = shard_path(index.path, 17)
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"000017\.safetensors: damaged"):
        FlatIndex(index.path, index.layout).search(queries(), 5)
    path.unlink()
    with pytest.raises(InputError, match=r"000017\.safetensors: no such file"):
        FlatIndex(index.path, index.layout).search(queries(), 5)


@pytest.mark.parametrize("content", ["", "{}", '{"index": "x"}', "[]", None])
def test_a_damaged_manifest_is_named(content: str | None, index: FlatIndex) -> None:
    path = index.path / MANIFEST
    if content is None:
        path.write_bytes(b"\xff\xfe")
    else:
        path.write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json: damaged .*delete this file and run"):
        FlatIndex(index.path, index.layout)


def test_the_manifest_of_another_index_is_refused(index: FlatIndex) -> None:
    path = index.path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "index": "other"}))
    with pytest.raises(InputError, match=r"manifest\.json: of another index; delete the folder"):
        FlatIndex(index.path, index.layout)


def test_shards_of_another_width_than_the_manifest_says_are_refused(index: FlatIndex) -> None:
    path = index.path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "dimensions": 17}))
    with pytest.raises(InputError, match=r"shard 0 has 16 dimensions, expected 17 as in its man"):
        FlatIndex(index.path, index.layout).search(queries(dimensions=17), 5)
