"""A durable key -> value store for everything that costs money or minutes."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from radio.mounts import Mount, network_mount
from radio.schema import InputError

_INHERITED: list[sqlite3.Connection] = []
"""Connections of the parent of a forked process, kept because SQLite forbids even to close them
there."""

_ENTRIES = (
    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value "
    "BLOB NOT NULL,"
    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
)

T = TypeVar("T")


_WARNED: set[Path] = set()
"""Folders on a network of which it was said."""


def _switch(db: sqlite3.Connection, *statements: str) -> None:
    """Change the journal, waiting by hand: the busy timeout does not cover this switch's lock."""
    deadline = time.monotonic() + 60
    while True:
        try:
            for statement in statements:
                db.execute(statement).fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _use_wal(db: sqlite3.Connection) -> None:
    """A log beside the file, in which readers and one writer do not wait for each other."""
    _switch(db, "PRAGMA journal_mode=WAL")
    # NORMAL would lose the last answers, paid for one by one, in a power cut
    db.execute("PRAGMA synchronous=FULL")


def _use_rollback_journal(db: sqlite3.Connection) -> None:
    """What several machines may use too, as far as the locks of their file system work: a WAL
    needs memory that only the processes of one machine share."""
    _switch(
        db,
        # opens a file that was left in WAL mode without that memory
        "PRAGMA locking_mode=EXCLUSIVE",
        "PRAGMA journal_mode=TRUNCATE",
        "PRAGMA locking_mode=NORMAL",
        # the lock is given back by the next access
        "SELECT COUNT(*) FROM sqlite_master",
    )
    # here anything less may lose the file when the power fails
    db.execute("PRAGMA synchronous=FULL")


def _warn_of_network(folder: Path, mount: Mount) -> None:
    """Say once in a process what is to be minded there."""
    if folder in _WARNED:
        return
    _WARNED.add(folder)
    warnings.warn(
        f"{folder}: the cache lies on a network file system ({mount.kind}, mounted at "
        f"{mount.point}); its SQLite file stays whole there only if the locks of that file system "
        "work between machines: let one command at a time write it (radio prepare on one machine, "
        "then the others read), or give a folder on a disk of this machine with "
        "--data.init_args.cache_dir",
        stacklevel=2,
    )


class Cache:
    """SQLite store safe for several processes; a kill loses nothing that was finished.

    Each ``put`` is one transaction.

    A store that can only be read, on a read-only disk for example, serves what it has. Whatever
    keeps it from being read or written is an :class:`radio.schema.InputError` that names the file.

    On a network file system a warning says so once, and the journal is one that machines can share
    if locks work there (docs/processes.md).

    Args:
        path: the database file; its folder is made on first use.
    """

    read_only = False
    """Whether this process leaves the file as it is, since another one prepares: it opens it for
    reading alone, and storing something is an error. Set before first use."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._owner = 0

    def _db(self) -> sqlite3.Connection:
        if self._connection is None or self._owner != os.getpid():
            if self._connection is not None:
                _INHERITED.append(self._connection)
            self._connection, self._owner = self._open(), os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self.read_only:
            return self._open_to_read() if self.path.is_file() else _empty()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path.parent}: cannot be the folder of the cache ({error.strerror}); "
                "choose another one with --data.init_args.cache_dir"
            ) from None
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
        mount = network_mount(self.path.parent)
        if mount is None:
            _use_wal(db)
        else:
            _warn_of_network(self.path.parent, mount)
            _use_rollback_journal(db)
        db.execute(_ENTRIES)
        return db

    def _open_to_read(self) -> sqlite3.Connection:
        """A connection that needs no new files beside the database, as on a read-only disk."""
        address = self.path.absolute().as_uri()
        for mode in ("immutable=1",) if self._needs_shared_memory() else ("mode=ro", "immutable=1"):
            db = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=60, isolation_level=None)
            try:
                db.execute("SELECT key FROM entries LIMIT 1").fetchall()
                break
            except sqlite3.OperationalError:
                db.close()
                if mode == "immutable=1":
                    raise
                self._refuse_half_changed()
        log = self.path.with_name(f"{self.path.name}-wal")
        if mode == "immutable=1" and log.is_file() and log.stat().st_size:
            warnings.warn(f"{log}: these entries cannot be read without writing", stacklevel=2)
        return db

    def _needs_shared_memory(self) -> bool:
        """Whether an earlier version left the file in WAL mode on a network."""
        if network_mount(self.path.parent) is None:
            return False
        with self.path.open("rb") as file:
            return file.read(20)[18:] == b"\2\2"

    def _refuse_half_changed(self) -> None:
        """A change that a killed process left has to be taken back before anybody reads."""
        journal = self.path.with_name(f"{self.path.name}-journal")
        if journal.is_file() and journal.stat().st_size:
            raise InputError(
                f"{self.path}: a command was ended while it wrote, and what it began is still in "
                f"{journal.name}: start `radio prepare` where the file can be written, which takes "
                "it back"
            )

    @contextmanager
    def _connected_to_write(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            raise InputError(
                f"{self.path}: this process only reads the cache, and what it has to store is not "
                "there yet: run `radio prepare` with the same settings first, or let each machine "
                "prepare for itself with --data.init_args.prepare_data_per_node true"
            )
        with self._connected() as db:
            yield db

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
        with self._connected_to_write() as db:
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
            sqlite3.SQLITE_FULL: (
                "the disk is full; what was stored before is kept: free some space, or "
                f"{other}, and run the same command again"
            ),
            sqlite3.SQLITE_READONLY: (
                "cannot be written, and what this command has to store is not there yet: make it "
                f"writable, or copy it and {other}"
            ),
            sqlite3.SQLITE_BUSY: (
                "another process has kept it locked for a minute; end that one, or wait for it"
            ),
            sqlite3.SQLITE_IOERR: (
                f"the disk could not read or write it ({error}); check the disk, or {other}"
            ),
        }
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        general = (
            f"cannot use this file as the cache ({error}); move it away or choose another folder"
        )
        return InputError(f"{self.path}: {said.get(code, general)}")

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Values of those keys that are stored."""
        found: dict[str, bytes] = {}
        for rows in self._rows("key, value", keys):
            found.update(rows)
        return found

    def _rows(self, columns: str, keys: Iterable[str]) -> Iterator[list[Any]]:
        """Columns of the entries of those keys that are stored, some rows at a time."""
        wanted = list(dict.fromkeys(keys))
        # SQLite allows so many parameters, and some more
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            places = ",".join("?" * len(some))
            with self._connected() as db:
                query = f"SELECT {columns} FROM entries WHERE key IN ({places})"  # noqa: S608
                rows = db.execute(query, some).fetchall()
            yield rows

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """Store values, all or none; ``kind`` tells people who look into the file what they are."""
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
        found: dict[str, T] = {}
        # as stored they may take more room than what is made of them: some at a time
        for rows in self._rows("key, value", keys):
            for key, value in rows:
                found[key] = self._parsed(key, value, parse)
        return found

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
        """What ``parse`` makes of values that :meth:`put_json` stored; errors as :meth:`read`."""
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
        found: set[str] = set()
        for rows in self._rows("key", keys):
            found.update(key for (key,) in rows)
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
        """Rows of a query on ``entries (key, kind, value, created)``, to look after the file."""
        with self._connected() as db:
            yield from db.execute(sql, arguments)

    def execute(self, sql: str, arguments: Sequence[Any] = ()) -> None:
        """A change of ``entries``, for what looks after the file."""
        with self._connected_to_write() as db:
            db.execute(sql, arguments)

    def __getstate__(self) -> dict[str, Any]:
        # a connection belongs to its process: data loader workers and DDP ranks open their own
        kept = {"path": self.path, "read_only": self.read_only}
        return {**kept, "_connection": None, "_owner": 0}


def _empty() -> sqlite3.Connection:
    """What a file that is not there has."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(_ENTRIES)
    return db


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


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
