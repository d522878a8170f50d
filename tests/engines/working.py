"""Work whose results are known, and work on a machine that is to be lost; actors import it from
here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from radio.encoders import Encoder
from radio.engines import Batch, Engine, InProcess, Row, Work

LOSS = "RADIO_TEST_LOSS"
"""Names a file in the environment of each machine of a cluster. While it is there, a machine is to
be lost that has not begun its first batch; ``touch`` it before that machine joins."""
DOOMED = "RADIO_TEST_DOOMED"
"""Set in the environment of the machine that is to be lost."""


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


class LostEncoder(Encoder):
    """On the machine that is to be lost, ends no batch; on the others, waits until that one has
    begun, so that it loses something however busy the processors are."""

    def computed(self, texts: Sequence[str], *, query: bool, tokens: bool) -> list[bytes]:
        loss = os.environ.get(LOSS)
        if loss and os.environ.get(DOOMED):
            Path(loss).unlink(missing_ok=True)
            # until the machine is gone, and this process with it
            threading.Event().wait()
        while loss and Path(loss).exists():
            time.sleep(0.01)
        return super().computed(texts, query=query, tokens=tokens)


class Ahead(Engine):
    """Takes all batches before it computes the first, as a cluster does."""

    maps: ClassVar[list[str]] = []
    """What was done, by title."""

    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        self.maps.append(work.title)
        yield from InProcess().map(work, list(batches))
