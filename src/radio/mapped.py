"""Values by id on disk, memory-mapped, whatever their number."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from radio.schema import InputError

BATCH = 10_000
"""Rows read or written together."""

T = TypeVar("T")
V = TypeVar("V", covariant=True)

Row = tuple[str, str, str]
"""Place, for error messages; id; text."""

Rows = Callable[[], Iterable[Row]]
"""Gives the rows; called a second time only to say where a duplicate is."""


class Mapped(Mapping[str, V]):
    """Texts by id in an Arrow file, each made into a value when it is asked for.

    The first use writes them into a folder; later ones open that. In memory are only the pages that
    are read: an id is found by binary search over sorted 64-bit hashes, which are memory-mapped too
    (12 bytes each). The kernel holds the pages once for all processes.

    A subclass says what its values are.
    """

    unit: ClassVar[str]
    """What has a row, in the plural; the file is called so."""

    called: ClassVar[str]
    """What messages call the whole."""

    fingerprint: str
    """Digest of ids and texts, in their order."""

    @abstractmethod
    def value(self, identifier: str, text: str) -> V:
        """What a row stands for."""

    def fill(self, home: Path, rows: Rows) -> None:
        """Map what is in a folder, which is built if it is not there, or damaged.

        Args:
            home: the folder. Its name says what the rows depend on: they are not compared.
            rows: what it is made from.

        Raises:
            InputError: an id stands twice; or what ``rows`` raises. Nothing is left then.
            OSError: it cannot be written.
        """
        if home.is_dir():
            try:
                self._load(home)
                return
            except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
                _discard(home, self.called, error)
        _build(rows, home, self.unit)
        self._load(home)

    def _load(self, home: Path) -> None:
        """Open what :func:`_build` has written.

        Raises:
            OSError, ValueError, KeyError, TypeError, EOFError: it is not whole.
        """
        facts = json.loads((home / "facts.json").read_text(encoding="utf-8"))
        self._home = home
        self._names, self._texts = _columns(home / f"{self.unit}.arrow")
        # as plain arrays, in which numpy looks up a number forty times faster
        self._hashes: NDArray[np.uint64] = np.asarray(np.load(home / "hashes.npy", mmap_mode="r"))
        self._places: NDArray[np.uint32] = np.asarray(np.load(home / "rows.npy", mmap_mode="r"))
        self.fingerprint = facts["fingerprint"]
        sizes = [len(self._names), len(self._hashes), len(self._places)]
        if sizes != [facts[self.unit]] * 3:
            counts = f"{sizes[0]} {self.unit}, {sizes[1]} hashes and {sizes[2]} rows"
            raise ValueError(f"found {counts}")

    def __getstate__(self) -> Path:
        # another process maps the files too
        return self._home

    def __setstate__(self, home: Path) -> None:
        self._load(home)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, identifier: str) -> V:
        return self.value(identifier, self.text(identifier))

    def text(self, identifier: str) -> str:
        """What stands for a value in the file.

        Raises:
            KeyError: there is none of that id.
        """
        row = self._row(identifier)
        if row is None:
            raise KeyError(identifier)
        text: str = self._texts[row].as_py()
        return text

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, str) and self._row(identifier) is not None

    def _row(self, identifier: str) -> int | None:
        """Where an id stands in the file; its text is not read."""
        wanted = np.uint64(_hash(identifier))
        place = int(self._hashes.searchsorted(wanted))
        # more than one id may have the same hash
        while place < len(self._hashes) and self._hashes[place] == wanted:
            row = int(self._places[place])
            if self._names[row].as_py() == identifier:
                return row
            place += 1
        return None

    def find(self, identifiers: Iterable[str]) -> dict[str, V]:
        """The values of many ids.

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
        found: dict[str, V] = {}
        for identifier in sorted(rows, key=rows.__getitem__):
            found[identifier] = self.value(identifier, self._texts[rows[identifier]].as_py())
        return found

    def __iter__(self) -> Iterator[str]:
        for part in self._names.chunks:
            yield from part.to_pylist()

    def values(self) -> Any:
        """Values in the order of the file (:class:`Values`)."""
        return Values(self)

    def at(self, row: int) -> V:
        """The value of a row."""
        return self.value(self._names[row].as_py(), self._texts[row].as_py())

    def in_order(self) -> Iterator[V]:
        """The values in the order of the file, one batch in memory at a time."""
        for names, texts in zip(self._names.chunks, self._texts.chunks, strict=True):
            yield from map(self.value, names.to_pylist(), texts.to_pylist())

    def contents(self, rows: range) -> list[str]:
        """The texts of neighbouring rows."""
        texts: list[str] = self._texts.slice(rows.start, len(rows)).to_pylist()
        return texts

    @property
    def ids(self) -> Sequence[str]:
        """Ids in the order of the file, each read when it is asked for."""
        return _Ids(self._names)


class _Ids(Sequence[str]):
    """What ``Mapped.ids`` returns: a list of all ids would take gigabytes."""

    def __init__(self, names: Any) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: Any) -> Any:
        return self._names[int(row)].as_py()


class Values(Sequence[V]):
    """The values of a :class:`Mapped`, each made when it is asked for."""

    def __init__(self, mapped: Mapped[V]) -> None:
        self._mapped = mapped

    def __len__(self) -> int:
        return len(self._mapped)

    def __iter__(self) -> Iterator[V]:
        return self._mapped.in_order()

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            places = range(len(self))[row]
            return self if places == range(len(self)) else Picked(self, places)
        return self._mapped.at(range(len(self))[row])


class Picked(Sequence[T]):
    """Some items of a sequence, by their places there, of which alone it has a list."""

    def __init__(self, items: Sequence[T], places: Iterable[int]) -> None:
        self._items = items
        self._places = array("q", places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return Picked(self._items, self._places[number])
        return self._items[self._places[number]]


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _columns(path: Path) -> tuple[Any, Any]:
    """Ids and texts of an Arrow file, mapped: what is asked for is read.

    Raises:
        OSError, ValueError, KeyError: it is damaged.
    """
    import pyarrow as pa

    table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    return table.column("id"), table.column("contents")


def _hash(identifier: str) -> int:
    import xxhash

    return xxhash.xxh3_64_intdigest(identifier.encode())


def _discard(home: Path, called: str, error: Exception) -> None:
    """Put what is damaged out of the way, to build it again.

    Raises:
        InputError: the folder may not be changed.
    """
    try:
        # not in place: another process may have opened a whole one by now
        broken = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
        home.rename(broken / "damaged")
    except OSError as refusal:
        raise InputError(
            f"{home}: the cached {called} is damaged ({error}) and cannot be replaced "
            f"({refusal.strerror}); delete it, or choose another cache folder with "
            "--data.init_args.cache_dir"
        ) from None
    warnings.warn(
        f"{home}: the cached {called} is damaged ({error}); it is built again", stacklevel=2
    )
    shutil.rmtree(broken, ignore_errors=True)


def _build(rows: Rows, home: Path, unit: str) -> None:
    """Write the Arrow file and the table of ids; complete or not at all."""
    import pyarrow as pa

    home.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    digest = hashlib.sha256()
    # eight bytes each, where a list of Python's numbers takes forty
    chunks = [np.array([], dtype=np.uint64)]
    schema = pa.schema([("id", pa.string()), ("contents", pa.string())])
    try:
        path = work / f"{unit}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for batch in batches(rows(), BATCH):
                names = [name for _, name, _ in batch]
                texts = [text for _, _, text in batch]
                writer.write_batch(pa.record_batch([names, texts], schema=schema))
                for name, text in zip(names, texts, strict=True):
                    digest.update(f"{name}\0{text}\0".encode())
                chunks.append(np.array([_hash(name) for name in names], dtype=np.uint64))
        table = np.concatenate(chunks)
        order = np.argsort(table, kind="stable").astype(np.uint32)
        table = table[order]
        _refuse_duplicates(path, table, order, rows)
        np.save(work / "hashes.npy", table)
        np.save(work / "rows.npy", order)
        facts = json.dumps({"fingerprint": digest.hexdigest(), unit: len(table)})
        (work / "facts.json").write_text(facts, encoding="utf-8")
        try:
            work.rename(home)
        except OSError:
            # another process was faster
            if not home.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_duplicates(
    arrow: Path, hashes: NDArray[np.uint64], rows: NDArray[np.uint32], again: Rows
) -> None:
    names, _ = _columns(arrow)
    # the hashes are sorted: those of equal ids are neighbours
    for neighbour in np.flatnonzero(hashes[1:] == hashes[:-1]):
        first, second = int(rows[neighbour]), int(rows[neighbour + 1])
        if names[first] != names[second]:
            continue
        # read once more, for the places in the files
        place_of = {}
        for row, (place, _, _) in enumerate(again()):
            if row in (first, second):
                place_of[row] = place
        raise InputError(
            f"{place_of[second]}: id {names[first].as_py()!r} is a duplicate, first used at "
            f"{place_of[first]}"
        )
