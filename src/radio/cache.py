"""A durable key -> value store for everything that costs money or minutes, and the fingerprints
that are its keys."""

from __future__ import annotations

import hashlib
import inspect
import json
import linecache
import os
import sqlite3
import sys
import time
import warnings
from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from radio.lines import check_file
from radio.schema import InputError


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON-like value, stable across runs and machines; a ``Path`` counts by the
    content it names.

    Raises:
        InputError: it holds something else.
    """
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Fingerprinted):
        return value.fingerprint()
    if isinstance(value, Path):
        return path_fingerprint(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    # numpy's numbers and arrays; dates: what the metadata of a question may hold
    for name in ("tolist", "isoformat"):
        if hasattr(value, name):
            return _plain(getattr(value, name)())
    raise InputError(
        f"cannot fingerprint {type(value).__name__} ({str(value)[:60]}): keep such objects in "
        "attributes that start with '_', and out of the metadata of questions"
    )


def path_fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names.

    Raises:
        InputError: the path does not exist, cannot be read, or is neither a file nor a folder.
    """
    try:
        if not path.is_dir():
            check_file(path)
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return fingerprint(
            [(str(p.relative_to(path)), _file_digest(p.resolve(), _state(p))) for p in files]
        )
    except OSError as error:
        raise InputError(f"{str(path)[:200]}: cannot be read ({error.strerror})") from None


LARGE = 1 << 28
"""Bytes from which a file's digest is kept between processes: an index of 60 GB is not to be read
at each start."""


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when a file does; unlike the time of modification, that of the change can not be
    set back."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=4096)
def _file_digest(path: Path, state: tuple[int, int, int]) -> str:
    kept = None
    if state[0] >= LARGE:
        home = (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "radio" / "digests"
        )
        kept = home / fingerprint([str(path), state])
        if kept.is_file():
            return kept.read_text(encoding="utf-8")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if kept and _state(path) == state:
        from radio.formats import atomic_write

        # where there is no home to write to, the file is read again next time
        with suppress(OSError), atomic_write(kept) as note:
            note.write(digest)
    return digest


class Fingerprinted(ABC):  # noqa: B024 -- its subclasses have abstract methods
    """A configurable part whose results are cached: its code and its public attributes make up its
    key.

    A subclass keeps its settings in public attributes and everything else (models, clients, tables)
    in attributes that start with an underscore.

    The code of a class of this project counts by its ``identity`` and ``version``; raise the latter
    when the code changes what it returns. The code of any other class counts by its source file, so
    that an edited class does not get its old results; what that file imports does not count (raise
    ``version`` for it).
    """

    identity: ClassVar[str] = ""
    """Name in keys of a class of this project, written down in each and never changed: a class that
    is moved or renamed finds what was paid for."""

    version = 1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not _ours(cls):
            # read now: an edit after the import is not what runs
            _source_digest(cls)

    @classmethod
    def _code(cls) -> list[Any]:
        """What stands for its code in keys.

        Raises:
            InputError: a class outside this project whose source cannot be found.
        """
        if _ours(cls):
            if not vars(cls).get("identity"):
                raise TypeError(f"{cls.__name__}: write down its identity, {cls.__name__!r}")
            return [[kind.identity, kind.version] for kind in _shipped(cls)]
        sources: list[Any] = []
        for kind in cls.__mro__:
            root = kind.__module__.partition(".")[0]
            if _ours(kind) or root in sys.stdlib_module_names:
                continue
            digest = _source_digest(kind)
            if digest is None:
                raise InputError(
                    f"{kind.__qualname__}: found no source of this class, expected it in a file: "
                    "results are cached, and an edit would not be noticed; write it into a .py "
                    "file and import it from there"
                )
            sources.append([kind.__qualname__, digest])
        return [sources, cls.version, [[kind.identity, kind.version] for kind in _shipped(cls)]]

    def depends_on(self) -> dict[str, Any]:
        """The settings that its results depend on: public attributes, unless a subclass says
        otherwise."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def fingerprint(self) -> str:
        """Identity of this part and its settings, the first half of every cache key."""
        return fingerprint([self._code(), self.depends_on()])


def _ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("radio", "data_modules")


def _shipped(kind: type) -> list[Any]:
    """The class and its bases that are complete parts of this project."""
    return [base for base in kind.__mro__ if _ours(base) and vars(base).get("identity")]


@cache
def _source_digest(kind: type) -> str | None:
    """SHA-256 of the file or notebook cell that a class was defined in, as it was then; None if
    there is none."""
    places = [getattr(sys.modules.get(kind.__module__), "__file__", None)]
    # a cell is no module, but its functions know where their lines are kept
    functions = [
        inspect.unwrap(value) for value in vars(kind).values() if inspect.isfunction(value)
    ]
    places += [function.__code__.co_filename for function in functions]
    for place in filter(None, places):
        with suppress(OSError):
            return hashlib.sha256(Path(place).read_bytes()).hexdigest()
        if lines := linecache.getlines(place):
            return hashlib.sha256("".join(lines).encode()).hexdigest()
    return None


_INHERITED: list[sqlite3.Connection] = []
"""Connections of the parent of a forked process, kept because SQLite forbids even to close them
there."""


T = TypeVar("T")


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite's busy timeout does not cover the lock of this switch, so wait by
    hand."""
    deadline = time.monotonic() + 60
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Cache:
    """SQLite store safe for several processes; each ``put`` is one transaction, so a kill loses
    nothing finished.

    A store that can only be read, on a read-only disk for example, serves what it has. Whatever
    keeps it from being read or written is an :class:`radio.schema.InputError` that names the file.

    Args:
        path: the database file; its folder is made on first use.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._owner = 0

    def _db(self) -> sqlite3.Connection:
        if self._connection is None or self._owner != os.getpid():
            if self._connection is not None:
                _INHERITED.append(self._connection)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{self.path.parent}: cannot be the folder of the cache ({error.strerror}); "
                    "choose another one with --data.init_args.cache_dir"
                ) from None
            self._connection, self._owner = self._open(), os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_to_write()
        except sqlite3.OperationalError as error:
            read_only = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
            if error.sqlite_errorcode & 0xFF not in read_only or not self.path.is_file():
                raise
        return self._open_to_read()

    def _open_to_write(self) -> sqlite3.Connection:
        # autocommit plus explicit transactions; a writer waits for another process instead of
        # failing
        db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        _use_wal(db)
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value "
            "BLOB NOT NULL,"
            " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
        )
        return db

    def _open_to_read(self) -> sqlite3.Connection:
        """A connection that needs no files beside the database, which cannot be made on a read-only
        disk."""
        address = self.path.absolute().as_uri()
        for mode in ("mode=ro", "immutable=1"):
            db = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=60, isolation_level=None)
            try:
                db.execute("SELECT key FROM entries LIMIT 1").fetchall()
                break
            except sqlite3.OperationalError:
                db.close()
                if mode == "immutable=1":
                    raise
        log = self.path.with_name(f"{self.path.name}-wal")
        if mode == "immutable=1" and log.is_file() and log.stat().st_size:
            warnings.warn(
                f"{log}: these entries cannot be read from a read-only disk", stacklevel=2
            )
        return db

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The database; what SQLite says of the file becomes a message for people."""
        try:
            yield self._db()
        except sqlite3.DatabaseError as error:
            # the others are mistakes of the code that calls
            if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
                raise
            raise self._unusable(error) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """The database, for changes of which all or none take place."""
        with self._connected() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # where the disk is full SQLite has gone back already
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _unusable(self, error: sqlite3.DatabaseError) -> InputError:
        other = "give another folder with --data.init_args.cache_dir"
        said = {
            sqlite3.SQLITE_FULL: "the disk is full; what was stored before is kept: free some space, or "
            f"{other}, and run the same command again",
            sqlite3.SQLITE_READONLY: "cannot be written, and what this command has to store is not there yet: "
            f"make it writable, or copy it and {other}",
            sqlite3.SQLITE_BUSY: "another process has kept it locked for a minute; end that one, or wait for it",
            sqlite3.SQLITE_IOERR: f"the disk could not read or write it ({error}); check the disk, or {other}",
        }
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        general = (
            f"cannot use this file as the cache ({error}); move it away or choose another folder"
        )
        return InputError(f"{self.path}: {said.get(code, general)}")

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Values of those keys that are stored."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        with self._connected() as db:
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                query = f"SELECT key, value FROM entries WHERE key IN ({','.join('?' * len(part))})"  # noqa: S608
                found.update(db.execute(query, part).fetchall())
        return found

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """Store values, all or none; ``kind`` names what they are for people who look into the
        file."""
        rows = [(key, kind, value) for key, value in items.items()]
        if rows:
            with self._transaction() as db:
                db.executemany(
                    "INSERT OR REPLACE INTO entries (key, kind, value) VALUES (?, ?, ?)", rows
                )

    def read(self, keys: Iterable[str], parse: Callable[[bytes], T]) -> dict[str, T]:
        """What ``parse`` makes of the values of those keys that are stored.

        Raises:
            InputError: it cannot: the entry is damaged.
        """
        return {key: self._parsed(key, value, parse) for key, value in self.get(keys).items()}

    def _parsed(self, key: str, value: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(value)
        except WRONG as error:
            raise self.damaged(key, f"{type(error).__name__}: {error}") from None

    def damaged(self, key: str, reason: str) -> InputError:
        """What to tell a user of an entry that does not hold what it should, and how to go on."""
        kinds = [kind for (kind,) in self.query("SELECT kind FROM entries WHERE key = ?", [key])]
        return InputError(
            f"{self.path}: the entry {key} ({', '.join(kinds)}) is damaged ({reason[:200]}); "
            f"remove it with: radio cache prune --key {key} --cache_dir {self.path.parent} --yes"
        )

    def get_json(
        self, keys: Iterable[str], parse: Callable[[Any], Any] | None = None
    ) -> dict[str, Any]:
        """Values that :meth:`put_json` has stored, or what ``parse`` makes of them; errors as in
        :meth:`read`."""
        return self.read(
            keys, lambda value: parse(json.loads(value)) if parse else json.loads(value)
        )

    def put_json(self, kind: str, items: Mapping[str, Any]) -> None:
        # half a character, as a text that was cut may end with, is kept too
        self.put(
            kind,
            {key: _to_json(value).encode(errors="surrogatepass") for key, value in items.items()},
        )

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those keys that are not stored, each once, in order."""
        found = self.get(keys)
        return [key for key in dict.fromkeys(keys) if key not in found]

    def items_json(self, kind: str) -> list[tuple[str, Any]]:
        """Keys and values of a kind; for kinds that have few."""
        rows = list(self.query("SELECT key, value FROM entries WHERE kind = ?", [kind]))
        return [(key, self._parsed(key, value, json.loads)) for key, value in rows]

    def delete(self, keys: Iterable[str]) -> None:
        """Remove entries, all or none."""
        with self._transaction() as db:
            db.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in keys])

    def query(self, sql: str, arguments: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query on ``entries (key, kind, value, created)``, for what looks after the
        file."""
        with self._connected() as db:
            yield from db.execute(sql, arguments)

    def execute(self, sql: str, arguments: Sequence[Any] = ()) -> None:
        """A change of ``entries``, for what looks after the file."""
        with self._connected() as db:
            db.execute(sql, arguments)

    def count(self) -> dict[str, int]:
        """Number of entries of each kind."""
        return dict(self.query("SELECT kind, COUNT(*) FROM entries GROUP BY kind ORDER BY kind"))

    def __getstate__(self) -> dict[str, Any]:
        # a connection belongs to its process: data loader workers and DDP ranks open their own
        return {"path": self.path, "_connection": None, "_owner": 0}


WRONG = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    OSError,
    RecursionError,
)
"""What reading a value of the wrong form raises."""


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
