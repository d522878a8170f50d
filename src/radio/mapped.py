"""Values by id on disk, memory-mapped, whatever their number."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from radio.disk import alone
from radio.mapped_files import (
    READ_ONLY,
    SHORT,
    WRONG,
    Rows,
    UnusableError,
    build,
    clear,
    digest_of,
    hash_of,
    open_files,
)
from radio.schema import InputError

T = TypeVar("T")
V = TypeVar("V", covariant=True)


class Mapped(Mapping[str, V]):
    """Texts by id in an Arrow file, each made into a value when it is asked for.

    The first use writes them into a folder; later ones open that. In memory are only the pages that
    are read: an id is found by binary search over sorted 64-bit hashes, which are memory-mapped too
    (12 bytes each), and a text is compared with its digest. The kernel holds the pages once for all
    processes.

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

        Where two processes need the same, the second waits for the first.

        Args:
            home: the folder. Its name says what the rows depend on: they are not compared.
            rows: what it is made from.

        Raises:
            InputError: an id stands twice; or what ``rows`` raises. Nothing is left then.
            UnusableError: it may not be read, or is damaged and cannot be replaced.
            OSError: it cannot be written.
        """
        problem = self._problem(home)
        if problem is None:
            return
        with ExitStack() as stack:
            waiting = f"{home}: another process builds this {self.called}; waiting for it"
            try:
                stack.enter_context(alone(home.with_name(f".{home.name}.lock"), waiting))
                # another one may have built it meanwhile
                problem = self._problem(home)
                if problem is None:
                    return
                clear(home, self.called, problem)
            except OSError as refusal:
                if not problem or isinstance(refusal, UnusableError):
                    raise
                raise UnusableError(
                    refusal.errno,
                    f"{home}: the cached {self.called} is damaged ({problem}) and cannot be "
                    f"replaced ({refusal.strerror})",
                ) from None
            build(home, self.unit, rows)
            self._load(home)

    def _problem(self, home: Path) -> str | None:
        """Why it has to be built: empty where nothing is there, else what is wrong with what is;
        None where it is whole, and open now.

        Raises:
            UnusableError: it may not be read.
            OSError: the system has no room to open it.
        """
        try:
            if not home.is_dir():
                return ""
            self._load(home)
        except WRONG as error:
            number = getattr(error, "errno", None)
            if number in READ_ONLY:
                raise UnusableError(
                    number, f"{home}: the cached {self.called} cannot be read ({error})"
                ) from None
            if number in SHORT:
                raise
            return str(error) or type(error).__name__
        return None

    def _load(self, home: Path) -> None:
        """Open the files of a folder."""
        self._home = home
        files = open_files(home, self.unit)
        self.fingerprint = files.fingerprint
        self._names, self._texts, self._digests = files.names, files.texts, files.digests
        self._hashes, self._places = files.hashes, files.rows

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
        return self._text(row)

    def _text(self, row: int) -> str:
        """The text of a row.

        Raises:
            InputError: it is not as it was written.
        """
        try:
            text: str = self._texts[row].as_py()
        except UnicodeDecodeError:
            raise self._damaged(row) from None
        if self._digests is not None and self._digests[row].as_py() != digest_of(text):
            raise self._damaged(row)
        return text

    def _checked(self, texts: Any, first: int) -> list[str]:
        """Texts of neighbouring rows, given as Arrow has them.

        Raises:
            InputError: one is not as it was written.
        """
        try:
            found: list[str] = texts.to_pylist()
        except UnicodeDecodeError:
            raise self._damaged(first) from None
        if self._digests is not None:
            expected = self._digests.slice(first, len(found)).to_pylist()
            for row, (text, digest) in enumerate(zip(found, expected, strict=True), first):
                if digest_of(text) != digest:
                    raise self._damaged(row)
        return found

    def _damaged(self, row: int) -> InputError:
        return InputError(
            f"{self._home}: the cached {self.called} is damaged (row {row} is not as it was "
            "written); delete this folder and run the same command again: it is built again"
        )

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, str) and self._row(identifier) is not None

    def _row(self, identifier: str) -> int | None:
        """Where an id stands in the file; its text is not read."""
        wanted = np.uint64(hash_of(identifier))
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
            found[identifier] = self.value(identifier, self._text(rows[identifier]))
        return found

    def __iter__(self) -> Iterator[str]:
        for part in self._names.chunks:
            yield from part.to_pylist()

    def values(self) -> Any:
        """Values in the order of the file (:class:`Values`)."""
        return Values(self)

    def at(self, row: int) -> V:
        """The value of a row."""
        return self.value(self._names[row].as_py(), self._text(row))

    def in_order(self) -> Iterator[V]:
        """The values in the order of the file, one batch in memory at a time."""
        first = 0
        for names, texts in zip(self._names.chunks, self._texts.chunks, strict=True):
            yield from map(self.value, names.to_pylist(), self._checked(texts, first))
            first += len(names)

    def contents(self, rows: range) -> list[str]:
        """The texts of neighbouring rows."""
        return self._checked(self._texts.slice(rows.start, len(rows)), rows.start)

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
