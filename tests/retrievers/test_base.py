"""What all retrievers share: the best passages first, with ties that repeat exactly."""

from __future__ import annotations

import numpy as np
import pytest

from radio.retrievers.base import top_k
from radio.schema import Candidate


@pytest.mark.parametrize("k", [1, 3, 7, 10, 50])
def test_top_k_is_a_stable_sort_from_the_best(k: int) -> None:
    scores = np.random.default_rng(0).integers(0, 4, size=20).astype(np.float32)
    names = [f"p{i}" for i in range(20)]
    found = top_k(scores, names, k)
    expected = sorted(range(20), key=lambda i: (-scores[i], i))[:k]
    assert found == [Candidate(names[i], rank, float(scores[i])) for rank, i in enumerate(expected)]
