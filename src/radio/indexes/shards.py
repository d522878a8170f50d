"""The shards of an index: the embeddings of neighbouring passages, a file each.

A file is one of safetensors with the tensor ``embeddings [passages, dimensions]``, and says of
which index and of which rows it is. It appears under its name when it is complete.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radio.disk import sync_folder
from radio.schema import InputError

SHARD = 8192
"""Passages of a shard: what a kill may cost, and what a search holds at a time."""

Precision = Literal["float16", "float32"]

CODES = {"F16": "float16", "F32": "float32"}
"""Types of numbers, by their names in the file."""

REMEDY = "delete this file and run the same command again: it alone is embedded again"


@dataclass(frozen=True)
class Layout:
    """How the passages of an index are spread over its shards.

    Args:
        identity: of the index; no other one has it.
        passages: how many there are.
        precision: of the stored numbers.
        size: passages of a shard; the last one may have fewer.
    """

    identity: str
    passages: int
    precision: Precision
    size: int

    @property
    def shards(self) -> int:
        return -(-self.passages // self.size)

    def rows(self, number: int) -> range:
        """The rows of the corpus that a shard has."""
        start = number * self.size
        return range(start, min(start + self.size, self.passages))


@dataclass(frozen=True)
class Shard:
    """What a shard holds.

    Args:
        vectors: ``[passages, dimensions]``, mapped: read when they are used.
        digest: xxh3 of their bytes, as written down when they were stored.
        seconds: that it took to make it.
        memory: highest memory of the process that made it, until then, in bytes.
        gpu_memory: the same of its GPU, 0 without one.
        size: of the file, in bytes.
    """

    vectors: NDArray[Any]
    digest: str
    seconds: float
    memory: int
    gpu_memory: int
    size: int


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"{number:06}.safetensors"


def digest_of(vectors: NDArray[Any]) -> str:
    """By which the vectors of a shard are checked."""
    import xxhash

    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(vectors).data)


def write_shard(
    folder: Path,
    layout: Layout,
    number: int,
    vectors: NDArray[np.float32],
    *,
    seconds: float,
    memory: int,
    gpu_memory: int,
) -> None:
    """Write a shard; complete or not at all, also if the power fails.

    Raises:
        InputError: a number is too large for the precision, or the file cannot be written.
    """
    from safetensors.numpy import save

    path = shard_path(folder, number)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype=layout.precision)
    if not np.isfinite(stored).all():
        largest = np.abs(vectors).max()
        raise InputError(
            f"{path}: an embedding has a number of {largest:.3g}, expected at most 65504 for "
            "float16; set precision to float32"
        )
    about = {
        "index": layout.identity,
        "first": layout.rows(number).start,
        "digest": digest_of(stored),
        "seconds": seconds,
        "memory": memory,
        "gpu_memory": gpu_memory,
    }
    content = save({"embeddings": stored}, {key: str(value) for key, value in about.items()})
    # another command that divides the shards in another way may write the same one
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); the shards before it are kept: free "
            "some space, or give another folder with --data.init_args.cache_dir, and run the same "
            "command again"
        ) from None


def sweep(folder: Path) -> None:
    """Remove what killed processes have left half written; nobody may be writing."""
    for path in folder.glob(".*.safetensors*"):
        path.unlink(missing_ok=True)


def read_shard(folder: Path, layout: Layout, number: int) -> Shard:
    """Open a shard; its vectors are not read yet.

    Raises:
        InputError: it is not there, cut off, damaged, or one of another index or of other rows.
    """
    from safetensors import SafetensorError, safe_open

    path, rows = shard_path(folder, number), layout.rows(number)
    try:
        with path.open("rb") as file:
            header = 8 + int.from_bytes(file.read(8), "little")
        with safe_open(path, framework="numpy") as opened:
            about = opened.metadata() or {}
            part = opened.get_slice("embeddings")
            shape, kind = tuple(part.get_shape()), CODES[part.get_dtype()]
        same = about["index"] == layout.identity and int(about["first"]) == rows.start
        seconds, digest = float(about["seconds"]), about["digest"]
        memory, gpu_memory = int(about["memory"]), int(about["gpu_memory"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the same command again") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: not a shard of an index, or a damaged one ({error}); {REMEDY}"
        ) from None
    if not same or len(shape) != 2 or shape[0] != len(rows) or kind != layout.precision:
        raise InputError(f"{path}: a shard of another index or of other passages; {REMEDY}")
    vectors = np.memmap(path, dtype=kind, mode="r", offset=header, shape=shape)
    return Shard(vectors, digest, seconds, memory, gpu_memory, path.stat().st_size)


def check_digest(folder: Path, number: int, shard: Shard) -> None:
    """Read a shard and compare it with what was stored.

    Raises:
        InputError: it is not the same.
    """
    if digest_of(shard.vectors) != shard.digest:
        path = shard_path(folder, number)
        raise InputError(f"{path}: damaged (its digest is another one than was stored); {REMEDY}")
