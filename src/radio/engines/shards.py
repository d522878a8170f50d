"""Batches and their results on a disk that all machines of a cluster see, a Parquet file each.

A file is named by the keys of its rows, which are those of their content, and appears under its
name when it is complete. In the folder of a work, ``todo`` has what is to be computed and ``done``
what was; both lose what the cache has taken over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from radio.engines.base import Batch, Row
from radio.fingerprints import fingerprint
from radio.models.messages import say
from radio.schema import InputError

KEY = "key"
"""The column with the keys of the rows."""

SUFFIX = ".parquet"


class Shards:
    """The files of one work.

    Args:
        folder: where they lie; made when something is written.
        identity: of the work.
    """

    def __init__(self, folder: Path, identity: Sequence[object]) -> None:
        self.identity = fingerprint(identity)
        self.folder = folder / self.identity[:16]

    def name(self, keys: Sequence[str]) -> str:
        """The name of the file with these rows."""
        return fingerprint([self.identity, list(keys)])

    def todo(self, name: str) -> Path:
        return self.folder / "todo" / f"{name}{SUFFIX}"

    def done(self, name: str) -> Path:
        return self.folder / "done" / f"{name}{SUFFIX}"

    def there(self) -> set[str]:
        """The names of the batches that were computed."""
        folder = self.folder / "done"
        # listed, not looked for one by one: a network file system remembers what is not there
        names = os.listdir(folder) if folder.is_dir() else []
        return {name.removesuffix(SUFFIX) for name in names if not name.startswith(".")}

    def forget(self, name: str) -> None:
        """Remove the files of a batch."""
        self.todo(name).unlink(missing_ok=True)
        self.done(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what is half written; nobody may be at it."""
        for path in self.folder.glob(f"*/.*{SUFFIX}.*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other command has this work done.

        Raises:
            InputError: the folder cannot be written.
        """
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                say(f"{self.folder}: another command has the same computed; waiting for it")
                lock.acquire()
        except OSError as error:
            raise _cannot_be_written(self.folder, error) from None
        try:
            yield
        finally:
            lock.release()


def write(path: Path, rows: Batch) -> None:
    """Write a file; complete or not at all, also if the power fails.

    Raises:
        InputError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([{KEY: key, **row} for key, row in rows.items()])
    # two machines may write the same one, where the first was only thought to be lost
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise _cannot_be_written(path, error) from None


def _cannot_be_written(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror or error}); free some space, or give a folder "
        "that all machines can write to with --data.init_args.engine.init_args.shards"
    )


def read(path: Path) -> dict[str, Row]:
    """The rows of a file by their keys.

    Raises:
        InputError: it is not there, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path, partitioning=None).to_pylist()
        return {row.pop(KEY): row for row in rows}
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file on this machine; the folder must be one that all machines of "
            "the cluster see under the same name "
            "(--data.init_args.engine.init_args.shards)"
        ) from None
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(
            f"{path}: not a file of results, or a damaged one ({error}); delete it and run the "
            "same command again"
        ) from None
