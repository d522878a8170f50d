"""What is on the disk when the power fails, what takes the place of something in one step, and one
process at a time where they would disturb each other."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


def sync(path: Path) -> None:
    """Wait until what a file holds, or which names stand in a folder, is on the disk.

    A file is synced before it is renamed into its place, and the folder after that: else a power
    cut may leave the name of a file whose content was never written.

    Raises:
        OSError: it cannot be written, or not be opened.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Put a renaming on the disk, where the system lets one open a folder."""
    with suppress(OSError):
        sync(folder)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders take each other's place in one step: at any moment each name is there.

    Returns:
        False where nothing was done, since the system or the file system cannot.
    """
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)


@contextmanager
def alone(lock: Path, waiting: str) -> Iterator[None]:
    """Wait until no other process is at something; its folder is made if it is not there.

    Args:
        lock: file that stands for it. It stays: another process may be waiting for this very one.
        waiting: said to the person at the terminal where one has to wait.

    Raises:
        OSError: the file cannot be written.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        _say(waiting)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def _say(message: str) -> None:
    from lightning.pytorch.utilities import rank_zero_only

    rank_zero_only(print)(message, file=sys.stderr)
