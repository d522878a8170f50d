"""A corpus on disk: passages by id, memory-mapped, whatever their number."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.fingerprints import fingerprint, path_fingerprint
from radio.formats import take_passage
from radio.lines import check_file, read_rows
from radio.schema import InputError, Passage

BATCH = 10_000
"""Passages read or written together."""


class DiskCorpus(Mapping[str, Passage]):
    """The passages of JSONL (plain or gzip) or Parquet files, read through Arrow's memory map.

    The first use writes them into ``folder``, under a name that is the fingerprint of the files;
    later ones open that. In memory are only the pages that are read: an id is found by binary
    search over sorted 64-bit hashes, which are memory-mapped too (12 bytes a passage).

    Args:
        paths: the files, in order.
        folder: where the Arrow file and the table of ids are kept.

    Raises:
        InputError: broken row, missing key, duplicate id, or no passage at all.
    """

    def __init__(self, paths: Sequence[str | Path], folder: str | Path) -> None:
        files = [Path(path) for path in paths]
        for number, file in enumerate(files):
            check_file(file)
            if file.resolve() in [other.resolve() for other in files[:number]]:
                raise InputError(f"{file}: found this file twice in the corpus, expected each once")
        identity = [1, [path_fingerprint(path) for path in files]]
        self._open(lambda: _read(files), ", ".join(map(str, files)), identity, folder)

    @classmethod
    def of(
        cls,
        passages: Callable[[], Iterable[tuple[str, Passage]]],
        name: str,
        identity: object,
        folder: str | Path,
    ) -> DiskCorpus:
        """The same for passages that are not in such files.

        Args:
            passages: each with its place for error messages; read a second time only to say where a
                duplicate is.
            name: of them all, for error messages.
            identity: takes the place of the files' fingerprint, JSON-like; a ``Path`` counts by
                what it holds.
            folder: as above.
        """
        from tqdm import tqdm

        corpus = cls.__new__(cls)
        corpus._open(
            lambda: tqdm(passages(), desc=f"read {name}", unit="passage"),
            name,
            [1, identity],
            folder,
        )
        return corpus

    def _open(
        self,
        passages: Callable[[], Iterable[tuple[str, Passage]]],
        name: str,
        identity: object,
        folder: str | Path,
    ) -> None:
        home = Path(folder) / fingerprint(identity)[:16]
        if home.is_dir():
            try:
                self._load(home)
                return
            except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
                _discard(home, error)
        _build(passages, name, home)
        self._load(home)

    def _load(self, home: Path) -> None:
        """Open what :func:`_build` has written.

        Raises:
            OSError, ValueError, KeyError, TypeError, EOFError: it is not whole.
        """
        facts = json.loads((home / "facts.json").read_text(encoding="utf-8"))
        self._home = home
        self._names, self._texts = _columns(home / "passages.arrow")
        # as plain arrays, in which numpy looks up a number forty times faster
        self._hashes: NDArray[np.uint64] = np.asarray(np.load(home / "hashes.npy", mmap_mode="r"))
        self._places: NDArray[np.uint32] = np.asarray(np.load(home / "rows.npy", mmap_mode="r"))
        self.fingerprint: str = facts["fingerprint"]
        sizes = [len(self._names), len(self._hashes), len(self._places)]
        if sizes != [facts["passages"]] * 3:
            raise ValueError(f"found {sizes[0]} passages, {sizes[1]} hashes and {sizes[2]} rows")

    def __getstate__(self) -> Path:
        # another process maps the files too
        return self._home

    def __setstate__(self, home: Path) -> None:
        self._load(home)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, identifier: str) -> Passage:
        row = self._row(identifier)
        if row is None:
            raise KeyError(identifier)
        return Passage(identifier, self._texts[row].as_py())

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, str) and self._row(identifier) is not None

    def _row(self, identifier: str) -> int | None:
        """Where a passage stands in the file; its text is not read."""
        wanted = np.uint64(_hash(identifier))
        place = int(self._hashes.searchsorted(wanted))
        # more than one id may have the same hash
        while place < len(self._hashes) and self._hashes[place] == wanted:
            row = int(self._places[place])
            if self._names[row].as_py() == identifier:
                return row
            place += 1
        return None

    def find(self, identifiers: Iterable[str]) -> dict[str, Passage]:
        """The passages of many ids.

        Raises:
            KeyError: there is none of that id.
        """
        rows: dict[str, int] = {}
        for identifier in dict.fromkeys(identifiers):
            row = self._row(identifier)
            if row is None:
                raise KeyError(identifier)
            rows[identifier] = row
        # in the order of the file, of which each page is read once
        found: dict[str, Passage] = {}
        for identifier in sorted(rows, key=rows.__getitem__):
            found[identifier] = Passage(identifier, self._texts[rows[identifier]].as_py())
        return found

    def __iter__(self) -> Iterator[str]:
        for part in self._names.chunks:
            yield from part.to_pylist()

    def values(self) -> Any:
        """Passages in the order of the files, one batch in memory at a time."""
        return _Passages(self._names, self._texts)

    def contents(self, rows: range) -> list[str]:
        """The texts of neighbouring passages."""
        texts: list[str] = self._texts.slice(rows.start, len(rows)).to_pylist()
        return texts

    @property
    def ids(self) -> Sequence[str]:
        """Ids in the order of the files, each read when it is asked for."""
        return _Ids(self._names)


class _Ids(Sequence[str]):
    """What ``DiskCorpus.ids`` returns: a list of all ids would take gigabytes."""

    def __init__(self, names: Any) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: Any) -> Any:
        return self._names[int(row)].as_py()


def row_ids(passages: Mapping[str, Passage]) -> Sequence[str]:
    """Id of each row of a corpus, on disk or in memory."""
    return passages.ids if isinstance(passages, DiskCorpus) else list(passages)


def contents_of(passages: Mapping[str, Passage]) -> Callable[[range], list[str]]:
    """What gives the texts of neighbouring rows of a corpus, on disk or in memory."""
    if isinstance(passages, DiskCorpus):
        return passages.contents
    every = list(passages.values())
    return lambda rows: [passage.contents for passage in every[rows.start : rows.stop]]


def corpus_fingerprint(passages: Mapping[str, Passage]) -> str:
    """Which text each id of a corpus names, and in which order they stand."""
    if isinstance(passages, DiskCorpus):
        return passages.fingerprint
    digest = hashlib.sha256()
    for passage in passages.values():
        digest.update(f"{passage.id}\0{passage.contents}\0".encode())
    return digest.hexdigest()


def passages_of(corpus: Mapping[str, Passage], identifiers: Iterable[str]) -> dict[str, Passage]:
    """The passages of some ids, by id; of a corpus on disk in one read."""
    if isinstance(corpus, DiskCorpus):
        return corpus.find(identifiers)
    return {identifier: corpus[identifier] for identifier in identifiers}


class PassagesById(Sequence[Passage]):
    """Passages of a corpus, each read when it is asked for.

    Args:
        corpus: where they are.
        ids: of the passages, in their order.
    """

    def __init__(self, corpus: Mapping[str, Passage], ids: Sequence[str]) -> None:
        self._corpus = corpus
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Passage]:
        found = passages_of(self._corpus, self._ids)
        return iter([found[identifier] for identifier in self._ids])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return PassagesById(self._corpus, self._ids[place])
        return self._corpus[self._ids[place]]


class _Passages:
    """What ``DiskCorpus.values()`` returns; may be iterated again and again."""

    def __init__(self, names: Any, texts: Any) -> None:
        self._names = names
        self._texts = texts

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Passage]:
        for names, texts in zip(self._names.chunks, self._texts.chunks, strict=True):
            yield from map(Passage, names.to_pylist(), texts.to_pylist())


def _columns(path: Path) -> tuple[Any, Any]:
    """Ids and contents of an Arrow file, mapped: what is asked for is read.

    Raises:
        OSError, ValueError, KeyError: it is damaged.
    """
    import pyarrow as pa

    table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    return table.column("id"), table.column("contents")


def _hash(identifier: str) -> int:
    import xxhash

    return xxhash.xxh3_64_intdigest(identifier.encode())


def passages_in(path: Path) -> Iterator[tuple[str, Passage]]:
    """Passages of a file (JSONL, gzip, Parquet), each with its place for error messages."""
    if path.suffix.lower() != ".parquet":
        for place, row in read_rows(path):
            yield place, take_passage(row, place)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(BATCH):
            for row in batch.to_pylist():
                number += 1
                place = f"{path}: row {number}"
                yield place, take_passage(row, place)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a Parquet file, or a damaged one ({error})") from None


def _read(paths: Iterable[Path]) -> Iterator[tuple[str, Passage]]:
    from tqdm import tqdm

    for path in paths:
        yield from tqdm(passages_in(path), desc=f"read {path.name}", unit="passage")


def _discard(home: Path, error: Exception) -> None:
    """Put a damaged corpus out of the way, to build it again.

    Raises:
        InputError: the folder may not be changed.
    """
    try:
        # not in place: another process may have opened a whole one by now
        broken = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
        home.rename(broken / "damaged")
    except OSError as refusal:
        raise InputError(
            f"{home}: the cached corpus is damaged ({error}) and cannot be replaced "
            f"({refusal.strerror}); delete it, or choose another cache folder with "
            "--data.init_args.cache_dir"
        ) from None
    warnings.warn(
        f"{home}: the cached corpus is damaged ({error}); it is built again", stacklevel=2
    )
    shutil.rmtree(broken, ignore_errors=True)


def _build(passages: Callable[[], Iterable[tuple[str, Passage]]], name: str, home: Path) -> None:
    """Write the Arrow file and the table of ids; complete or not at all."""
    import pyarrow as pa

    home.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    digest = hashlib.sha256()
    chunks: list[NDArray[np.uint64]] = []
    schema = pa.schema([("id", pa.string()), ("contents", pa.string())])
    try:
        path = str(work / "passages.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for batch in _batches(passages()):
                names = [passage.id for passage in batch]
                texts = [passage.contents for passage in batch]
                writer.write_batch(pa.record_batch([names, texts], schema=schema))
                for passage in batch:
                    digest.update(f"{passage.id}\0{passage.contents}\0".encode())
                # eight bytes each, where a list of Python's numbers takes forty
                chunks.append(np.array([_hash(name) for name in names], dtype=np.uint64))
        if not chunks:
            raise InputError(f"{name}: the corpus is empty, expected at least one passage")
        table = np.concatenate(chunks)
        order = np.argsort(table, kind="stable").astype(np.uint32)
        table = table[order]
        _refuse_duplicates(work / "passages.arrow", table, order, passages)
        np.save(work / "hashes.npy", table)
        np.save(work / "rows.npy", order)
        facts = json.dumps({"fingerprint": digest.hexdigest(), "passages": len(table)})
        (work / "facts.json").write_text(facts, encoding="utf-8")
        try:
            work.rename(home)
        except OSError:
            # another process was faster
            if not home.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _batches(passages: Iterable[tuple[str, Passage]]) -> Iterator[list[Passage]]:
    """The passages, some thousands at a time."""
    left = (passage for _, passage in passages)
    while batch := list(islice(left, BATCH)):
        yield batch


def _refuse_duplicates(
    arrow: Path,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.uint32],
    passages: Callable[[], Iterable[tuple[str, Passage]]],
) -> None:
    names, _ = _columns(arrow)
    # the hashes are sorted: those of equal ids are neighbours
    for neighbour in np.flatnonzero(hashes[1:] == hashes[:-1]):
        first, second = int(rows[neighbour]), int(rows[neighbour + 1])
        if names[first] != names[second]:
            continue
        # read once more, for the places in the files
        place_of = {}
        for row, (place, _) in enumerate(passages()):
            if row in (first, second):
                place_of[row] = place
        raise InputError(
            f"{place_of[second]}: id {names[first].as_py()!r} is a duplicate, first used at "
            f"{place_of[first]}"
        )
