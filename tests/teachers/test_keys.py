"""The keys of teachers and their confidence, as literals: see :mod:`tests.test_cache_keys`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radio.fingerprints import Fingerprinted
from radio.teachers import Agreement, AnswerMatch, Blend, Entropy, Gain, Margin, RetrievalScore
from tests.test_cache_keys import files  # noqa: F401 -- the folder

PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "Agreement": (lambda: Agreement(RetrievalScore()), "8dc6c657f06658db"),
    "Entropy": (Entropy, "a0b54d9656fbbe62"),
    "Gain": (lambda: Gain(RetrievalScore()), "f09c24064dfac886"),
    "Margin": (Margin, "6cb11da9a39acd76"),
}
SET: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "two, weighted": (lambda: Blend(weights=[9, 1]), "fed69912dc6cf4a0"),
    "two, by rank": (lambda: Blend(normalise="rank"), "989cb288743e70c1"),
    "two, by softmax": (lambda: Blend(normalise="softmax"), "3cc361a43cbadce6"),
    "three": (
        lambda: Blend([RetrievalScore(), AnswerMatch(), RetrievalScore()]),
        "3517272f262c86d8",
    ),
}
"""Keys of settings that enter them only where they are set."""


@pytest.mark.parametrize("name", PARTS)
def test_a_part_with_its_default_settings_has_the_fingerprint_that_it_always_had(name: str) -> None:
    make, expected = PARTS[name]
    assert make().fingerprint()[:16] == expected


@pytest.mark.parametrize("name", SET)
def test_a_setting_that_changes_scores_is_in_the_key_where_it_is_set(name: str) -> None:
    make, expected = SET[name]
    assert make().fingerprint()[:16] == expected
