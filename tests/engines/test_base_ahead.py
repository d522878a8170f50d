"""An engine that takes all batches at once gives what one gives that takes them one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from tests.conftest import entries
from tests.engines.working import Ahead

TEXTS = [f"Lamp {n} was lit by keeper {n}" + " because of the storm" * (n % 5) for n in range(60)]


@pytest.fixture(autouse=True)
def maps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(Ahead, "maps", found)
    return found


def stored(cache: Cache) -> dict[str, bytes]:
    return dict(cache.query("SELECT key, value FROM entries"))


def test_texts_of_several_lists_are_computed_once_and_in_the_same_batches(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maps: list[str]
) -> None:
    monkeypatch.setattr("radio.encoders.WINDOW", 25)
    lists = [TEXTS[:40], [*TEXTS[30:], TEXTS[0]], TEXTS[:3]]
    encoder = Encoder(tiny_bert, max_length=32, batch_size=1, device="cpu")
    alone, ahead = Cache(tmp_path / "a.sqlite"), Cache(tmp_path / "b.sqlite")
    for texts in lists:
        encoder.fill(texts, alone)
    batches: list[int] = []
    compute = Encoder.computed

    def counted(self: Encoder, texts: list[str], **options: bool) -> list[bytes]:
        batches.append(len(texts))
        return compute(self, texts, **options)

    monkeypatch.setattr(Encoder, "computed", counted)
    with Ahead().at_work(tmp_path):
        encoder.fill_each(lists, ahead)
    assert len(maps) == 1
    assert sum(batches) == len(TEXTS)
    assert stored(ahead) == stored(alone)


def test_parts_are_whole_whatever_the_cache_has_of_them(tiny_bert: str, tmp_path: Path) -> None:
    encoder = Encoder(tiny_bert, max_length=32, batch_size=1, device="cpu")
    cache = Cache(tmp_path / "radio.sqlite")
    encoder.fill(TEXTS[10:20], cache)
    before = entries(cache)
    parts = [TEXTS[:10], TEXTS[10:20], TEXTS[15:40], [TEXTS[0]] * 3]
    expected = [encoder.encode(part, Cache(tmp_path / "other.sqlite")) for part in parts]
    for engine in (None, Ahead()):
        if engine is None:
            found = list(encoder.embed_each(parts, cache, title=""))
        else:
            with engine.at_work(tmp_path):
                found = list(encoder.embed_each(parts, cache, title=""))
        for mine, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, other, atol=2e-6)
    # they are kept elsewhere
    assert entries(cache) == before


def test_prepare_stores_the_same_with_any_engine(
    tiny_run: list[str], radio: Callable[..., tuple[int, str, str]], tiny_bert: str, maps: list[str]
) -> None:
    encoder = {"class_path": "Encoder", "init_args": {"model": tiny_bert, "max_length": 32}}
    dense = {"class_path": "Dense", "init_args": {"encoder": encoder}}
    chosen = [*tiny_run, "--data.init_args.retriever", json.dumps(dense)]
    place = "--data.init_args.cache_dir"
    assert radio("prepare", *chosen, place, "alone")[0] == 0
    assert maps == []
    engine = ["--data.init_args.engine", "tests.engines.working.Ahead"]
    status, _, said = radio("prepare", *chosen, place, "ahead", *engine)
    assert status == 0, said
    # the corpus; the questions of three splits, and the texts that their passages are compared
    # with: the passages are those of the first split again
    assert len(maps) == 1 + 3 + 1 + 3
    assert stored(Cache("alone/radio.sqlite")) == stored(Cache("ahead/radio.sqlite"))
    digests = set()
    for manifest in Path().glob("*/indexes/*/manifest.json"):
        digests.add(json.loads(manifest.read_text())["digest"])
    assert len(digests) == 1
    maps.clear()
    assert radio("prepare", *chosen, place, "ahead", *engine)[0] == 0
    assert maps == []
