"""The keys of teachers and their confidence, as literals: see :mod:`tests.test_cache_keys`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from radio.fingerprints import Fingerprinted
from radio.rationales import Recorded, Several
from radio.teachers import (
    Agreement,
    AnswerMatch,
    Blend,
    Cited,
    Coverage,
    Entropy,
    Gain,
    Margin,
    RationaleSimilarity,
    RetrievalScore,
    teacher_key,
)
from tests.test_cache_keys import PASSAGES, QUESTION, RATIONALE, files  # noqa: F401 -- the folder


def several() -> Several:
    return Several([Recorded("rationales.jsonl"), Recorded("rationales.jsonl")])


PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "Agreement": (lambda: Agreement(RetrievalScore()), "8dc6c657f06658db"),
    "Cited": (Cited, "55a9bc97a75cc8aa"),
    "Coverage": (Coverage, "c311e9f5195506a4"),
    "Entropy": (Entropy, "a0b54d9656fbbe62"),
    "Gain": (lambda: Gain(RetrievalScore()), "f09c24064dfac886"),
    "Margin": (Margin, "6cb11da9a39acd76"),
    "Several": (several, "f0191a4e4104337e"),
}
SET: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "sentences": (lambda: RationaleSimilarity(match="sentences"), "f2cf9fe24b098b5a"),
    "sentences, top": (lambda: RationaleSimilarity(match="sentences", top=5), "44759064610efbe3"),
    "several": (lambda: RationaleSimilarity(several="max"), "ed3bf43b2fe9132a"),
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


def test_a_setting_that_changes_nothing_is_not_in_the_key() -> None:
    assert RationaleSimilarity(top=5).fingerprint() == RationaleSimilarity().fingerprint()


def test_the_key_of_several_is_that_of_what_each_writer_writes() -> None:
    assert several().key(QUESTION)[:16] == "acddb6d84c49405c"


def test_further_rationales_are_in_the_key_of_scores_where_there_are_some() -> None:
    with_others = replace(RATIONALE, others=("Ada had the key.",))
    key = teacher_key("teacher", "corpus", QUESTION, with_others, PASSAGES)
    assert key[:16] == "9974af4b2ca3e213"
    alone = replace(with_others, others=())
    assert teacher_key("teacher", "corpus", QUESTION, alone, PASSAGES)[:16] == "2e6ee1a9cb95a681"
