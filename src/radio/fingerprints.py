"""Fingerprints: what a result depends on, as the key under which it is kept."""

from __future__ import annotations

import hashlib
import inspect
import json
import linecache
import os
import re
import sys
from abc import ABC
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from radio.lines import check_file
from radio.schema import InputError


def fingerprint(value: object) -> str:
    """SHA-256 of a JSON-like value, the same on every machine; a ``Path`` counts by its content.

    Raises:
        InputError: it holds something else.
    """
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    # most values, the candidates of a million questions for example, are such lists
    if type(value) in (list, tuple):
        return [item if type(item) in (str, float) else _plain(item) for item in value]
    if isinstance(value, Fingerprinted):
        return value.fingerprint()
    if isinstance(value, Path):
        return path_fingerprint(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
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
    """What changes when a file does: nobody can set the time of a change (ctime) back."""
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
        if (known := _kept_digest(kept)) is not None:
            return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if kept and _state(path) == state:
        from radio.lines import atomic_write

        # where there is no home to write to, the file is read again next time
        with suppress(OSError), atomic_write(kept) as note:
            note.write(digest)
    return digest


def _kept_digest(note: Path) -> str | None:
    """The digest in a file; None where there is none, or a power cut has left something else."""
    try:
        text = note.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


class Fingerprinted(ABC):  # noqa: B024 -- its subclasses have abstract methods
    """A part whose results are cached: its code and its public attributes make up its key.

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
            if not _ours(kind) and root not in sys.stdlib_module_names:
                sources.append([kind.__qualname__, _known_source(kind)])
        return [sources, cls.version, [[kind.identity, kind.version] for kind in _shipped(cls)]]

    def depends_on(self) -> dict[str, Any]:
        """The settings that its results depend on; public attributes, if no subclass differs."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def fingerprint(self) -> str:
        """Identity of this part and its settings, the first half of every cache key."""
        return fingerprint([self._code(), self.depends_on()])


def code_of(kind: type, base: type) -> list[Any]:
    """What stands for the code of a class that is no :class:`Fingerprinted`, in keys: the classes
    that it is made of, those of this project by name, any other by its source file too.

    Args:
        kind: the class.
        base: what all classes of its kind have in common, which does not count.

    Raises:
        InputError: a class outside this project whose source cannot be found.
    """
    found: list[Any] = []
    for each in kind.__mro__:
        if each not in base.__mro__:
            found.append([each.__qualname__, None if _ours(each) else _known_source(each)])
    return found


def _ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("radio", "data_modules")


def _shipped(kind: type) -> list[Any]:
    """The class and its bases that are complete parts of this project."""
    return [base for base in kind.__mro__ if _ours(base) and vars(base).get("identity")]


def _known_source(kind: type) -> str:
    """As :func:`_source_digest`, of a class that must have one."""
    digest = _source_digest(kind)
    if digest is None:
        raise InputError(
            f"{kind.__qualname__}: found no source of this class, expected it in a file: results "
            "are cached, and an edit would not be noticed; write it into a .py file and import it "
            "from there"
        )
    return digest


@cache
def _source_digest(kind: type) -> str | None:
    """SHA-256 of the file or notebook cell that a class was defined in then; None without one."""
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
