"""The keys of merged retrieval, as literals: see :mod:`tests.test_cache_keys`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radio.fingerprints import Fingerprinted
from radio.retrievers import BM25, Hybrid
from tests.test_cache_keys import QUESTION, Data, files  # noqa: F401 -- the folder


def learnt() -> Hybrid:
    hybrid = Hybrid([BM25(), BM25(k1=2.0)], method="min_max", weights="learnt")
    hybrid.learn([QUESTION])
    return hybrid


PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "Hybrid": (Hybrid, "785e537aaa53c524"),
}
SET: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "interleaved": (lambda: Hybrid(method="interleave"), "171801554ff8f9bc"),
    "weighted": (lambda: Hybrid(method="min_max", weights=[1, 3]), "ce5f75c1ffd11ceb"),
    "learnt": (learnt, "7f5b2188f74865ef"),
    "deeper": (lambda: Hybrid(depth=100), "c8304652a0e1aab3"),
}


@pytest.mark.parametrize("name", [*PARTS, *SET])
def test_a_hybrid_has_the_fingerprint_that_it_always_had(name: str) -> None:
    make, expected = {**PARTS, **SET}[name]
    assert make().fingerprint()[:16] == expected


def test_the_key_of_its_candidates_is_the_one_that_it_always_was() -> None:
    key = next(iter(Data(learnt()).preparation.candidate_keys("train")))
    assert key[:16] == "37bbf0790e141f58"
