"""Work whose results are known, and that can be slow; actors import it from here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from radio.encoders import Encoder
from radio.engines import Batch, Engine, InProcess, Row, Work

WAIT = 0.2
"""Seconds that :class:`SlowEncoder` takes for a batch."""


class Doubling(Work):
    """Twice each number, with its text as bytes.

    Args:
        bad: the number that it cannot double.
        version: that counts as a model's content does.
    """

    title = "double"

    def __init__(self, bad: int | None = None, version: int = 1) -> None:
        self.bad = bad
        self.version = version
        self.batches: list[list[int]] = []
        """Numbers of the batches that were computed here."""

    @property
    def identity(self) -> list[Any]:
        return ["doubling", self.version]

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        self.batches.append([row["number"] for row in rows])
        made: list[Row] = []
        for row in rows:
            if row["number"] == self.bad:
                raise ZeroDivisionError(f"cannot double {self.bad}")
            made.append({"double": 2 * row["number"], "value": row["text"].encode()})
        return made


def batches_of(count: int, size: int = 3) -> list[Batch]:
    """So many batches of so many numbers, by keys that are their names."""
    found: list[Batch] = []
    for start in range(0, count * size, size):
        numbers = range(start, start + size)
        found.append({f"key{n}": {"number": n, "text": f"é{n}"} for n in numbers})
    return found


class SlowEncoder(Encoder):
    """Takes its time, so that something can happen meanwhile."""

    def computed(self, texts: Sequence[str], *, query: bool, tokens: bool) -> list[bytes]:
        time.sleep(WAIT)
        return super().computed(texts, query=query, tokens=tokens)


class Ahead(Engine):
    """Takes all batches before it computes the first, as a cluster does."""

    maps: ClassVar[list[str]] = []
    """What was done, by title."""

    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        self.maps.append(work.title)
        yield from InProcess().map(work, list(batches))
