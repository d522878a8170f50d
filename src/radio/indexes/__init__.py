"""Indexes of embeddings: shards on disk, built a shard at a time and searched a shard at a time."""

from __future__ import annotations

from radio.indexes.building import embed_part, open_flat
from radio.indexes.faiss_files import FaissIndex
from radio.indexes.flat import Facts, FlatIndex
from radio.indexes.inverted import open_inverted
from radio.indexes.shards import Precision

__all__ = [
    "Facts",
    "FaissIndex",
    "FlatIndex",
    "Precision",
    "embed_part",
    "open_flat",
    "open_inverted",
]
