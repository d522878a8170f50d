"""Config files: YAML or JSON, nested or of dotted keys."""

from __future__ import annotations

import stat
from pathlib import Path

import yaml

from radio.config.keys import expand
from radio.config.shipped import similar
from radio.config.sources import Source
from radio.config.values import Loader
from radio.schema import InputError

LARGEST = 10_000_000
"""Bytes of a config file; a larger one is something else."""


def read_config(path: str, option: str = "--config") -> Source:
    """Read a config file: YAML or JSON, nested or of dotted keys.

    Args:
        path: of the file.
        option: which named it, for messages.

    Raises:
        InputError: it is absent, no plain file, no UTF-8 text, no YAML, or holds no keys.
    """
    text = _text(path, option)
    try:
        found = yaml.load(text, Loader=Loader)  # noqa: S506
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply for a config file") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(
            f"{path}:{line}: not valid YAML: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if found is None:
        raise InputError(
            f"{path}: found an empty file, expected keys such as 'model:', 'data:', 'trainer:'"
        )
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else f"the text {str(found)[:40]!r}"
        raise InputError(
            f"{path}: found {kind}, expected keys such as 'model:', 'data:', 'trainer:'"
        )
    source = Source(path, {})
    source.tree = expand(found, source)
    return source


def _text(path: str, option: str) -> str:
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{option} {path}: found a folder, expected a YAML or JSON file")
        if not stat.S_ISREG(mode):
            raise InputError(f"{option} {path}: found a pipe or device, expected a plain file")
        if file.stat().st_size > LARGEST:
            raise InputError(
                f"{option} {path}: found {file.stat().st_size:,} bytes, too many for a config file"
            )
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{option} {path}: no such file{_nearby(file)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{option} {path[:200]}: cannot be read: {reason}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: found UTF-16, expected UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8, expected a text file"
        ) from None
    if "\0" in text:
        raise InputError(f"{path}: found a binary file, expected YAML or JSON")
    return text


def _nearby(file: Path) -> str:
    """What may have been meant: a file beside it, or shipped configs."""
    plain = file.suffix not in {".yaml", ".yml", ".json"}
    if plain and file.with_name(file.name + ".yaml").is_file():
        return f"; did you mean {file}.yaml?"
    shipped = similar(str(file))
    if shipped:
        return f", and no config that comes with radio; did you mean {' or '.join(shipped)}?"
    return "; radio configs lists those that come with radio" if plain else ""
