"""A durable key -> value store for everything that costs money or minutes, and the fingerprints that are its keys."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from radio.schema import InputError


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON-like value, stable across runs and machines; a ``Path`` counts by the content it names."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
    raise TypeError(f"cannot fingerprint {type(value).__name__}: keep such objects in attributes that start with '_'")


def path_fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names.

    Raises:
        InputError: the path does not exist.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file (relative paths start at {Path.cwd()})")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return fingerprint([(str(p.relative_to(path)), _file_digest(p.resolve(), _state(p))) for p in files])


LARGE = 1 << 28
"""Bytes from which a file's digest is kept between processes: an index of 60 GB is not to be read at each start."""


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when a file does; unlike the time of modification, that of the change can not be set back."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=4096)
def _file_digest(path: Path, state: tuple[int, int, int]) -> str:
    kept = None
    if state[0] >= LARGE:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "radio" / "digests"
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
    """A configurable part whose results are cached: public attributes make up its identity.

    A subclass keeps its settings in public attributes and everything else (models, clients, tables) in attributes
    that start with an underscore. Raise ``version`` when the code changes what it returns.
    """

    version = 1

    def fingerprint(self) -> str:
        """Identity of this part and its settings, the first half of every cache key."""
        settings = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return fingerprint([type(self).__module__, type(self).__qualname__, self.version, settings])


_INHERITED: list[sqlite3.Connection] = []
"""Connections of the parent of a forked process, kept because SQLite forbids even to close them there."""


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite's busy timeout does not cover the lock of this switch, so wait by hand."""
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
    """SQLite store safe for several processes; each ``put`` is one transaction, so a kill loses nothing finished.

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
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                # autocommit plus explicit transactions; a writer waits for another process instead of failing
                db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
                _use_wal(db)
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(
                    "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL,"
                    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
                )
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from None
            self._connection, self._owner = db, os.getpid()
        return self._connection

    def _unusable(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: cannot use this file as the cache ({error}); move it away or choose another folder"
        )

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Values of those keys that are stored."""
        wanted, db = list(dict.fromkeys(keys)), self._db()
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            query = f"SELECT key, value FROM entries WHERE key IN ({','.join('?' * len(part))})"  # noqa: S608
            try:
                found.update(db.execute(query, part).fetchall())
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from None
        return found

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """Store values, all or none; ``kind`` names what they are for people who look into the file."""
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            rows = [(key, kind, value) for key, value in items.items()]
            db.executemany("INSERT OR REPLACE INTO entries (key, kind, value) VALUES (?, ?, ?)", rows)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    def get_json(self, keys: Iterable[str]) -> dict[str, Any]:
        return {key: json.loads(value) for key, value in self.get(keys).items()}

    def put_json(self, kind: str, items: Mapping[str, Any]) -> None:
        self.put(kind, {key: json.dumps(value, ensure_ascii=False).encode() for key, value in items.items()})

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those keys that are not stored, each once, in order."""
        found = self.get(keys)
        return [key for key in dict.fromkeys(keys) if key not in found]

    def items_json(self, kind: str) -> list[tuple[str, Any]]:
        """Keys and values of a kind; for kinds that have few."""
        rows = self._db().execute("SELECT key, value FROM entries WHERE kind = ?", (kind,)).fetchall()
        return [(key, json.loads(value)) for key, value in rows]

    def delete(self, keys: Iterable[str]) -> None:
        """Remove entries, all or none."""
        db = self._db()
        with db:
            db.executemany("DELETE FROM entries WHERE key = ?", [(key,) for key in keys])

    def query(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Rows of a query on ``entries (key, kind, value, created)``, for what looks after the file."""
        try:
            return self._db().execute(sql, arguments)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def count(self) -> dict[str, int]:
        """Number of entries of each kind."""
        return dict(self._db().execute("SELECT kind, COUNT(*) FROM entries GROUP BY kind ORDER BY kind").fetchall())

    def __getstate__(self) -> dict[str, Any]:
        # a connection belongs to its process: data loader workers and DDP ranks open their own
        return {"path": self.path, "_connection": None, "_owner": 0}
