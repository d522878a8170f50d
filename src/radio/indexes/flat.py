"""A flat index: every vector is compared with, a shard at a time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.indexes.shards import Layout, Shard, check_digest, read_shard
from radio.lines import atomic_write
from radio.schema import InputError

MANIFEST = "manifest.json"
"""Written last: an index that has one is complete."""


@dataclass(frozen=True)
class Facts:
    """What ``manifest.json`` says of an index.

    Args:
        index: its fingerprint, of all that it depends on.
        corpus: the fingerprint of the passages.
        model: the encoder's.
        passages: how many.
        dimensions: of a vector.
        precision: of its numbers.
        shards: files.
        bytes: of all of them.
        seconds: that embedding and writing took, of all processes and goes together.
        memory: highest memory of a process that built it, in bytes, with what it had done before.
        gpu_memory: the same of its GPU; 0 without one.
        digest: of all vectors.
    """

    index: str
    corpus: str
    model: str
    passages: int
    dimensions: int
    precision: str
    shards: int
    bytes: int
    seconds: float
    memory: int
    gpu_memory: int
    digest: str

    @property
    def speed(self) -> float:
        """Passages a second of one process."""
        return self.passages / max(self.seconds, 1e-9)

    def write(self, folder: Path) -> None:
        with atomic_write(folder / MANIFEST) as file:
            json.dump(asdict(self), file, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """What :meth:`write` has written.

        Raises:
            InputError: it is damaged.
        """
        path = folder / MANIFEST
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: damaged ({error}); delete this file and run the same command again: it "
                "is written again from the shards"
            ) from None


class FlatIndex:
    """Search over shards on disk, exact, with one of them in memory at a time.

    Args:
        folder: where they are.
        layout: what they are to hold.

    Raises:
        InputError: the manifest is damaged, or that of another index.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.path = folder
        self.layout = layout
        self.facts = Facts.read(folder)
        if self.facts.index != layout.identity:
            raise InputError(
                f"{folder / MANIFEST}: of another index; delete the folder and run the same "
                "command again"
            )
        self._checked: set[int] = set()

    @property
    def dimensions(self) -> int:
        return self.facts.dimensions

    def search(
        self, queries: NDArray[np.float32], k: int, device: str = "cpu"
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows ``[queries, k]``, best first; equal scores in the order of the corpus.

        The numbers are those of :class:`radio.indexes.ranking.Best`.
        """
        import torch
        from tqdm import tqdm

        from radio.indexes.ranking import Best

        best = Best(torch.from_numpy(queries).to(device), k)
        with tqdm(total=len(queries), desc="search", unit="question", leave=None) as bar:
            for number in range(self.layout.shards):
                block = torch.from_numpy(self.vectors(number)).to(device).float()
                best.take(block, self.layout.rows(number).start)
                bar.update(len(queries) * (number + 1) // self.layout.shards - bar.n)
        return best.scores, best.rows

    def vectors(self, number: int) -> NDArray[Any]:
        """The vectors ``[passages, dimensions]`` of a shard.

        Raises:
            InputError: the shard is missing, damaged or foreign.
        """
        # a copy: pages of a map would stay in memory, up to the whole index
        return np.array(self._shard(number).vectors)

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors ``[rows, dimensions]`` of rows in rising order."""
        # allocated once: lists to put together would be held twice
        found = np.empty((len(rows), self.dimensions), dtype=np.float32)
        for number in np.unique(rows // self.layout.size).tolist():
            own = rows // self.layout.size == number
            first = self.layout.rows(number).start
            found[own] = self._shard(number).vectors[rows[own] - first]
        return found

    def _shard(self, number: int) -> Shard:
        shard = read_shard(self.path, self.layout, number)
        if shard.vectors.shape[1] != self.dimensions:
            raise InputError(
                f"{self.path}: shard {number} has {shard.vectors.shape[1]} dimensions, expected "
                f"{self.dimensions} as in its {MANIFEST}; delete the folder and run the same "
                "command again"
            )
        # once for each process that reads it
        if number not in self._checked:
            check_digest(self.path, number, shard)
            self._checked.add(number)
        return shard
