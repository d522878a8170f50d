"""What the tests of retrievers share: a small corpus, and how it is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from radio.cache import Cache
from radio.retrievers.base import Retriever
from radio.schema import Candidate, Passage, Question

TEXTS = [
    "Bells in schools\nA bell rings in the school when the lesson ends.",
    "Fog signals\nWhen visibility is poor, a vessel at anchor sounds its bell to avoid a "
    "collision.",
    "Fog\nFog is a cloud of water droplets near the ground.",
    "Ships\nShips of the fleet were painted grey and white.",
    "Bread\nBread is baked from flour, water and salt.",
]


def find(
    retriever: Retriever, cache: Cache, *questions: str, k: int = 3, texts: Sequence[str] = TEXTS
) -> list[list[Candidate]]:
    retriever.index({f"p{i}": Passage(f"p{i}", text) for i, text in enumerate(texts)}, cache)
    return list(retriever.search([Question(f"q{i}", text) for i, text in enumerate(questions)], k))


def search(
    retriever: Retriever, cache: Cache, corpus: Mapping[str, Passage], *questions: str, k: int = 3
) -> list[list[Candidate]]:
    retriever.index(corpus, cache)
    return list(retriever.search([Question(f"q{i}", text) for i, text in enumerate(questions)], k))


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.passage_id for candidate in candidates]
