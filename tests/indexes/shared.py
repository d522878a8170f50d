"""What the tests of indexes share: an encoder that is quick, and passages by the thousand."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.encoders import Encoder
from radio.indexes.flat import FlatIndex
from radio.schema import Passage


class Drawn(Encoder):
    """Gives each text a vector of its own, the same in every process; equal texts have the same."""

    def __init__(self, dimensions: int = 16, scale: float = 1.0) -> None:
        super().__init__("drawn", similarity="dot")
        self.dimensions = dimensions
        self.scale = scale

    @property
    def of_passages(self) -> list[Any]:
        return ["drawn", self.dimensions, self.scale]

    def embed(self, texts: Sequence[str], cache: Cache, *, title: str) -> NDArray[np.float32]:
        vectors = []
        for text in texts:
            draw = np.random.default_rng(zlib.crc32(text.encode()))
            vectors.append(self.scale * draw.standard_normal(self.dimensions, dtype=np.float32))
        return np.stack(vectors)

    def embed_each(
        self, parts: Iterable[Sequence[str]], cache: Cache, *, title: str
    ) -> Iterator[NDArray[np.float32]]:
        for texts in parts:
            yield self.embed(texts, cache, title=title)


def corpus_of(count: int, texts: int | None = None) -> dict[str, Passage]:
    """So many passages with so many different texts."""
    return {f"p{n}": Passage(f"p{n}", f"Lamp {n % (texts or count)}") for n in range(count)}


def stored(index: FlatIndex) -> NDArray[np.float32]:
    """All vectors of an index."""
    return index.at(np.arange(index.facts.passages))


def brute_force(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and rows of the ``k`` best, all of them compared; ties in the order of the rows."""
    scores = np.empty((len(queries), len(vectors)), dtype=np.float32)
    for number, query in enumerate(queries.astype(np.float64)):
        scores[number] = (vectors.astype(np.float64) * query).sum(axis=1)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows
