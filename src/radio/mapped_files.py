"""The files of a :class:`radio.mapped.Mapped`: written as a whole, and checked when they are
opened."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.disk import sync, sync_folder
from radio.schema import InputError

BATCH = 10_000
"""Rows read or written together."""

BATCH_BYTES = 1 << 26
"""Text of a batch from which on no row is added to it: Arrow's strings end at 2 GiB."""

LONGEST = (1 << 31) - 1
"""Bytes of the longest text."""

READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""What the system says of a folder that may only be read."""

SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What it says where too much is open, which is no fault of the files."""

WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError)
"""What opening files raises that are not whole."""

ARRAYS = ("hashes.npy", "rows.npy")

FACTS = "facts.json"

Row = tuple[str, str, str]
"""Place, for error messages; id; text."""

Rows = Callable[[], Iterable[Row]]
"""Gives the rows; called a second time only to say where a duplicate is."""


class UnusableError(OSError):
    """What is there may not be read, or is damaged and cannot be replaced; ``strerror`` says it
    to people."""


@dataclass(frozen=True)
class Files:
    """What a folder holds, mapped: read when it is used.

    Args:
        fingerprint: digest of ids and texts, in their order.
        names: ids.
        texts: one for each id.
        digests: xxh3 of each text; None in a folder of an earlier version.
        hashes: of the ids, sorted.
        rows: which row each hash is of.
    """

    fingerprint: str
    names: Any
    texts: Any
    digests: Any
    hashes: NDArray[np.uint64]
    rows: NDArray[np.uint32]


def hash_of(identifier: str) -> int:
    """By which an id is found."""
    import xxhash

    return xxhash.xxh3_64_intdigest(identifier.encode())


def digest_of(text: str) -> int:
    """By which a text is checked each time that it is read."""
    import xxhash

    return xxhash.xxh3_64_intdigest(text.encode())


def open_files(home: Path, unit: str) -> Files:
    """What :func:`build` has written.

    The two small arrays are read once, to compare their digests.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError: it is not whole.
    """
    facts = json.loads((home / FACTS).read_text(encoding="utf-8"))
    fingerprint, count = facts["fingerprint"], facts[unit]
    table = _table(home / f"{unit}.arrow")
    # as plain arrays, in which numpy looks up a number forty times faster
    hashes, rows = (np.asarray(np.load(home / name, mmap_mode="r")) for name in ARRAYS)
    sizes = [table.num_rows, len(hashes), len(rows)]
    if sizes != [count] * 3:
        raise ValueError(f"found {sizes[0]} {unit}, {sizes[1]} hashes and {sizes[2]} rows")
    # earlier versions wrote none down
    for name, digest in facts.get("digests", {}).items():
        if _file_digest(home / name) != digest:
            raise ValueError(f"{name} is not as it was written")
    known = "digest" in table.column_names
    return Files(
        fingerprint=fingerprint,
        names=table.column("id"),
        texts=table.column("contents"),
        digests=table.column("digest") if known else None,
        hashes=hashes,
        rows=rows,
    )


def _table(path: Path) -> Any:
    """An Arrow file, mapped.

    Raises:
        OSError, ValueError: it is damaged.
    """
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def _file_digest(path: Path) -> str:
    """xxh3 of a file, of which a piece is in memory at a time."""
    import xxhash

    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(1 << 16):
            digest.update(piece)
    return digest.hexdigest()


def clear(home: Path, called: str, problem: str) -> None:
    """Make room for what is to be built; nobody else may be building it.

    Args:
        home: the folder.
        called: what messages call it.
        problem: what is wrong with the one that is there; empty where there is none.

    Raises:
        OSError: the folder may not be changed.
    """
    for left in home.parent.iterdir():
        # of processes that were killed
        if left.name.startswith(f".{home.name}.") and left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    if not problem:
        return
    # not in place: a kill in the middle would leave half of it
    broken = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        home.rename(broken / "damaged")
    finally:
        shutil.rmtree(broken, ignore_errors=True)
    warnings.warn(
        f"{home}: the cached {called} is damaged ({problem}); it is built again", stacklevel=2
    )


def build(home: Path, unit: str, rows: Rows) -> None:
    """Write the files; complete or not at all, also if the power fails.

    Raises:
        InputError: an id stands twice, or a text is too long; or what ``rows`` raises.
        OSError: they cannot be written.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    # the folder itself lets nobody else in
    whole = work / "whole"
    try:
        whole.mkdir()
        _write(whole, unit, rows)
        for path in (*whole.iterdir(), whole):
            sync(path)
        try:
            whole.rename(home)
        except OSError:
            # another process was faster, where locks do not work
            if not home.is_dir():
                raise
        sync_folder(home.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write(folder: Path, unit: str, rows: Rows) -> None:
    """Write the Arrow file, the table of ids, and what is known of them."""
    import pyarrow as pa

    digest = hashlib.sha256()
    # eight bytes each, where a list of Python's numbers takes forty
    chunks = [np.array([], dtype=np.uint64)]
    columns = [("id", pa.string()), ("contents", pa.string()), ("digest", pa.uint64())]
    schema = pa.schema(columns)
    path = folder / f"{unit}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in _batches(rows()):
            names = [name for _, name, _ in batch]
            texts = [text for _, _, text in batch]
            digests = [digest_of(text) for text in texts]
            writer.write_batch(pa.record_batch([names, texts, digests], schema=schema))
            for name, text in zip(names, texts, strict=True):
                digest.update(f"{name}\0{text}\0".encode())
            chunks.append(np.array([hash_of(name) for name in names], dtype=np.uint64))
    hashes = np.concatenate(chunks)
    order = np.argsort(hashes, kind="stable").astype(np.uint32)
    hashes = hashes[order]
    _refuse_duplicates(path, hashes, order, rows)
    arrays: list[NDArray[Any]] = [hashes, order]
    for name, values in zip(ARRAYS, arrays, strict=True):
        np.save(folder / name, values)
    facts = {
        "fingerprint": digest.hexdigest(),
        unit: len(hashes),
        "digests": {name: _file_digest(folder / name) for name in ARRAYS},
    }
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows, so many at a time as fit together.

    Raises:
        InputError: one does not fit at all, or is no Unicode.
    """
    batch: list[Row] = []
    size = 0
    for place, name, text in rows:
        try:
            own = len(name.encode()) + len(text.encode())
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}: id {name!r}: found a broken character ({error}), expected valid Unicode"
            ) from None
        if own > LONGEST:
            raise InputError(
                f"{place}: id {name!r}: found {own} bytes of text, expected at most {LONGEST}"
            )
        if batch and (len(batch) == BATCH or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((place, name, text))
        size += own
    if batch:
        yield batch


def _refuse_duplicates(
    arrow: Path, hashes: NDArray[np.uint64], rows: NDArray[np.uint32], again: Rows
) -> None:
    names = _table(arrow).column("id")
    first_of: dict[str, int] = {}
    present = None
    # the hashes are sorted: those of equal ids are neighbours, and other ids may stand among them
    for neighbour in np.flatnonzero(hashes[1:] == hashes[:-1]):
        if hashes[neighbour] != present:
            present = hashes[neighbour]
            first_of = {names[int(rows[neighbour])].as_py(): int(rows[neighbour])}
        row = int(rows[neighbour + 1])
        name = names[row].as_py()
        first = first_of.setdefault(name, row)
        if first != row:
            _refuse_duplicate(name, first, row, again)


def _refuse_duplicate(name: str, first: int, second: int, again: Rows) -> None:
    # read once more, for the places in the files
    place_of = {}
    for row, (place, _, _) in enumerate(again()):
        if row in (first, second):
            place_of[row] = place
    raise InputError(
        f"{place_of[second]}: id {name!r} is a duplicate, first used at {place_of[first]}"
    )
