"""Building an index: the corpus is embedded a shard at a time, and never as a whole in memory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from radio.cache import Cache
from radio.corpus import contents_of, corpus_fingerprint
from radio.encoders import Encoder
from radio.fingerprints import fingerprint
from radio.indexes.flat import MANIFEST, Facts, FlatIndex
from radio.indexes.shards import (
    SHARD,
    Layout,
    Precision,
    read_shard,
    shard_path,
    sweep,
    write_shard,
)
from radio.models.messages import say
from radio.schema import InputError, Passage

FORMAT = 1
"""Of the files; another one makes another folder."""


def open_flat(
    passages: Mapping[str, Passage], encoder: Encoder, cache: Cache, precision: Precision
) -> FlatIndex:
    """The index of a corpus by an encoder; what is not there yet is built first.

    It is a folder beside the cache, one for each corpus, encoder and precision. What a process that
    was killed has finished is kept, and a second process waits for the first.

    Raises:
        InputError: a shard is damaged or foreign, or nothing can be written.
    """
    folder, layout = _place(passages, encoder, cache, precision)
    if not _whole(folder, layout):
        with alone(folder):
            sweep(folder)
            # another one may have built it meanwhile
            if not _whole(folder, layout):
                _embed(folder, layout, _lacking(folder, layout), passages, encoder, cache)
                _note(folder, layout, corpus_fingerprint(passages), encoder)
    return FlatIndex(folder, layout)


def embed_part(
    passages: Mapping[str, Passage],
    encoder: Encoder,
    cache: Cache,
    precision: Precision,
    part: int,
    parts: int,
) -> Path:
    """Embed every ``parts``-th shard from number ``part`` on, while other processes embed the
    others; :func:`open_flat` makes an index of them.

    Returns:
        The folder.

    Raises:
        InputError: nothing can be written.
    """
    folder, layout = _place(passages, encoder, cache, precision)
    with alone(folder, f"{part}-of-{parts}"):
        own = [number for number in _lacking(folder, layout) if number % parts == part]
        _embed(folder, layout, own, passages, encoder, cache)
    return folder


def _place(
    passages: Mapping[str, Passage], encoder: Encoder, cache: Cache, precision: Precision
) -> tuple[Path, Layout]:
    """Where an index lies, and what its shards are to hold."""
    depends_on = [FORMAT, corpus_fingerprint(passages), encoder.of_passages, precision, SHARD]
    layout = Layout(fingerprint(depends_on), len(passages), precision, SHARD)
    return cache.path.parent / "indexes" / layout.identity[:16], layout


def _whole(folder: Path, layout: Layout) -> bool:
    return (folder / MANIFEST).is_file() and not _lacking(folder, layout)


def _lacking(folder: Path, layout: Layout) -> list[int]:
    """Numbers of the shards that are not there."""
    there = set(os.listdir(folder))
    return [n for n in range(layout.shards) if shard_path(folder, n).name not in there]


def _embed(
    folder: Path,
    layout: Layout,
    numbers: Sequence[int],
    passages: Mapping[str, Passage],
    encoder: Encoder,
    cache: Cache,
) -> None:
    """Write these shards."""
    from tqdm import tqdm

    texts, left = contents_of(passages), sum(len(layout.rows(number)) for number in numbers)
    if left < layout.passages:
        say(f"{folder}: {left:,} of {layout.passages:,} passages are left to embed here")
    # a shard is read when it is asked for
    parts = (texts(layout.rows(number)) for number in numbers)
    embedded = encoder.embed_each(parts, cache, title="embed corpus: texts")
    began = time.perf_counter()
    with tqdm(total=left, desc="embed corpus", unit="passage") as bar:
        for number, vectors in zip(numbers, embedded, strict=True):
            write_shard(
                folder,
                layout,
                number,
                vectors,
                seconds=time.perf_counter() - began,
                memory=peak_memory(),
                gpu_memory=_peak_gpu_memory(),
            )
            began = time.perf_counter()
            bar.update(len(layout.rows(number)))


def _note(folder: Path, layout: Layout, corpus: str, encoder: Encoder) -> None:
    """Look at all shards, and write the manifest."""
    shards = [read_shard(folder, layout, number) for number in range(layout.shards)]
    width = shards[0].vectors.shape[1]
    for number, shard in enumerate(shards):
        if shard.vectors.shape[1] != width:
            raise InputError(
                f"{shard_path(folder, number)}: found {shard.vectors.shape[1]} dimensions, "
                f"expected {width} as in the first shard; delete both and run the same command "
                "again"
            )
    facts = Facts(
        index=layout.identity,
        corpus=corpus,
        model=encoder.model,
        passages=layout.passages,
        dimensions=width,
        precision=layout.precision,
        shards=layout.shards,
        bytes=sum(shard.size for shard in shards),
        seconds=round(sum(shard.seconds for shard in shards), 3),
        memory=max(shard.memory for shard in shards),
        gpu_memory=max(shard.gpu_memory for shard in shards),
        digest=fingerprint([shard.digest for shard in shards]),
    )
    try:
        facts.write(folder)
    except OSError as error:
        raise InputError(f"{folder / MANIFEST}: cannot be written ({error.strerror})") from None


@contextmanager
def alone(folder: Path, part: str = "") -> Iterator[None]:
    """Wait until no other process builds in this folder, which is made if it is not there.

    Args:
        folder: of the index.
        part: of it; others may build other parts at the same time.

    Raises:
        InputError: it cannot be written.
    """
    main = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locks = [main]
        _acquire(main, folder)
        # who has the main one may take those of parts, and nobody who has one of these waits for it
        names = [folder / f".lock-{part}"] if part else sorted(folder.glob(".lock-*"))
        for name in names:
            locks.append(FileLock(name))
            _acquire(locks[-1], folder)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}), and the corpus is to be "
            "embedded; make it writable, or give another folder with --data.init_args.cache_dir"
        ) from None
    if part:
        main.release()
    try:
        yield
    finally:
        for lock in locks:
            lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{folder}: another process builds this index; waiting for it")
        lock.acquire()


def peak_memory() -> int:
    """Highest memory of this process so far in bytes, with the pages of mapped files.

    0 where the system does not tell.
    """
    try:
        import resource
    except ImportError:
        return 0
    # kibibytes, but on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _peak_gpu_memory() -> int:
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
