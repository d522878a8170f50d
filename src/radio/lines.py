"""Text files line by line: UTF-8 whatever the locale, plain or gzip, split at newlines alone."""

from __future__ import annotations

import gzip
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from radio.disk import sync_folder
from radio.schema import InputError

BYTE_ORDER_MARK = "\ufeff".encode()
"""What some editors put at the head of a UTF-8 file."""

PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"(\xb5/\xfd": "packed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "Parquet under another name",
    b"%PDF": "a PDF",
}
"""What is found by how a file begins, where a file of text is expected."""

NAMES = {
    str: "a string",
    list: "a list",
    dict: "an object",
    int: "a number",
    float: "a number",
    bool: "true or false",
}
"""What a type of JSON is called in messages."""


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Non-blank lines of a text file, plain or gzip, with their 1-based numbers.

    The text is UTF-8 whatever the locale, with or without a byte order mark, and is split at
    newlines alone: other separators of lines (U+2028, form feed) may stand in a question.

    Raises:
        InputError: no such file, no file of text, or a damaged one.
    """
    path = Path(path)
    check_file(path)
    number = 0
    try:
        with path.open("rb") as raw:
            head = raw.read(16)
            zipped = head.startswith(b"\x1f\x8b")
        _refuse_packed(path, head)
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            for number, data in enumerate(file, 1):
                # where files were put together, later ones have their own byte order mark
                line = data.removeprefix(BYTE_ORDER_MARK).decode()
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: the gzip file is damaged or cut off after line {number} ({error})"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: not UTF-8 text ({error}); save the file as UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _refuse_packed(path: Path, head: bytes) -> None:
    for start, kind in PACKED.items():
        if head.startswith(start):
            raise InputError(
                f"{path}: found {kind}, expected lines of text, plain or in gzip (.gz)"
            )


def check_file(path: Path) -> None:
    """Refuse what is no regular file: reading a pipe or a device may never end.

    Raises:
        InputError: there is no such file, or it is a folder, a pipe or a device.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file (relative paths start at {Path.cwd()})") from None
    except (
        OSError,
        ValueError,
    ) as error:  # a name that is too long, a folder that may not be entered
        raise InputError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: this is a folder, expected a file")
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path}: this is a pipe or a device, expected a file; write its content into one first"
        )


def find_file(folder: Path, name: str) -> Path:
    """``folder/name``, or the file there with this name in other case or packed (``.gz``).

    ``name`` may have folders of its own in front.
    """
    path = folder / name
    if path.is_file() or not path.parent.is_dir():
        return path
    wanted = (path.name.lower(), f"{path.name.lower()}.gz")
    close = [
        other
        for other in sorted(path.parent.iterdir())
        if other.name.lower() in wanted and other.is_file()
    ]
    return close[0] if close else path


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON, expected a number or null")


def stream_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Non-blank lines of an open stream of UTF-8 text, each as soon as it has come, with their
    1-based numbers.

    Args:
        stream: such as standard input.
        name: what messages call it.

    Raises:
        InputError: no UTF-8.
    """
    for number, data in enumerate(stream, 1):
        try:
            line = data.removeprefix(BYTE_ORDER_MARK).decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}:{number}: not UTF-8 text ({error}); expected lines of JSON, unpacked"
            ) from None
        if line.strip():
            yield number, line


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """JSON objects of a JSONL file, each with its place ``file:line`` for error messages."""
    return rows_of(read_lines(path), str(path))


def rows_of(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """JSON objects of numbered lines, each with its place ``name:line`` for error messages."""
    for number, line in lines:
        place = f"{name}:{number}"
        try:
            row = json.loads(line, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            reason = error.msg.removesuffix(" at")
            raise InputError(
                f"{place}: not valid JSON ({reason} at column {error.colno}); expected one JSON "
                "object a line"
            ) from None
        except RecursionError:
            raise InputError(
                f"{place}: brackets within brackets too deep to read; expected one JSON object"
            ) from None
        except ValueError as error:  # NaN, Infinity, or a number of thousands of digits
            raise InputError(f"{place}: not valid JSON ({str(error).partition(';')[0]})") from None
        if not isinstance(row, dict):
            raise InputError(f"{place}: found {kind_of(row)}, expected a JSON object")
        yield place, row


def broken_character(text: str) -> str | None:
    """What is wrong with a text that ends, or was joined, within a surrogate pair: it can be
    neither hashed nor written. None where it is whole."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return str(error)
    return None


def kind_of(value: object) -> str:
    """What JSON calls a value of this kind, for messages."""
    return "null" if value is None else NAMES.get(type(value), type(value).__name__)


def write_jsonl(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    with atomic_write(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[str]]:
    """Write to a temporary file and rename it when complete: none is left half-written, also if
    the power fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            # where the disk is full, Python does not say which
            error.filename = str(path)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
