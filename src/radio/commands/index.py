"""``radio index``: embed the corpus of a configuration beforehand, and say what that took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radio.data.module import RationaleDataModule
    from radio.indexes import FaissIndex, FlatIndex
    from radio.retrievers import Dense, Retriever


def index(datamodule: RationaleDataModule, part: int | None = None, parts: int = 1) -> None:
    """Build the index of each dense retriever of a configuration, and report on it.

    What is there already is reported on alone; what a killed command has finished is kept.

    Args:
        part: embed only every parts-th shard, beginning with this one (0 is the first), while other
            processes embed the others; the same command without it, afterwards, makes an index of
            them and reports.
        parts: into how many parts the work is divided.
    """
    from radio.ranges import check
    from radio.schema import InputError

    check("radio index", {"part": part, "parts": parts})
    if (part or 0) >= parts or (part is None) != (parts == 1):
        raise InputError(
            f"radio index: found part {part} of parts {parts}, expected --part from 0 to one less "
            "than --parts, or none of them"
        )
    found = list(_dense(datamodule.retriever))
    if not found:
        raise InputError(
            f"radio index: found {type(datamodule.retriever).__name__}, expected a Dense retriever "
            "without index_path, alone or in a Hybrid: nothing else has an index to build"
        )
    # machines that embed parts may share the folder; what they make are shards
    datamodule.cache.read_only = part is not None
    for retriever in found:
        if part is not None:
            folder = retriever.embed_part(datamodule.corpus, datamodule.cache, part, parts)
            print(f"index: {folder}: part {part} of {parts} is embedded")
            continue
        print("\n".join(_lines(*retriever.build(datamodule.corpus, datamodule.cache))))


def _dense(retriever: Retriever) -> Iterator[Dense]:
    """Those that embed the corpus."""
    from radio.retrievers import Dense, Hybrid

    if isinstance(retriever, Hybrid):
        for part in retriever.retrievers:
            yield from _dense(part)
    if isinstance(retriever, Dense) and retriever.index_path is None:
        yield retriever


def _lines(flat: FlatIndex, searched: FlatIndex | FaissIndex) -> Iterator[str]:
    """What the report says of an index, and of the inverted lists over it."""
    from radio.indexes import FaissIndex
    from radio.indexes.inverted import ListsFacts
    from radio.runs.story import duration

    facts = flat.facts
    yield f"index: {flat.path}"
    yield f"  fingerprint  {facts.index}"
    yield f"  encoder      {facts.model}"
    yield f"  passages     {facts.passages:,}"
    yield f"  dimensions   {facts.dimensions} ({facts.precision})"
    yield f"  size         {facts.bytes / 1e9:,.3f} GB in {facts.shards:,} shards"
    yield f"  built in     {duration(facts.seconds)} ({facts.speed:,.1f} passages/s)"
    gpu = f", of the GPU {facts.gpu_memory / 2**30:.2f} GiB" if facts.gpu_memory else ""
    yield f"  peak memory  {facts.memory / 2**30:.2f} GiB{gpu}"
    if isinstance(searched, FaissIndex):
        lists = ListsFacts.read(searched.path.parent)
        size = sum(lists.bytes.values()) / 1e9
        yield f"  ivf          {lists.lists:,} lists, {size:,.3f} GB, {duration(lists.seconds)}"
