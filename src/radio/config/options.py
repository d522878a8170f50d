"""Config files and command-line options as trees of keys, each with the place where it was
written."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from radio.config.shipped import find_config, similar
from radio.schema import InputError

COMMAND_LINE = "the command line"
LARGEST = 10_000_000
"""Bytes of a config file; a larger one is something else."""
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""What word processors and chat programs make of ``--``."""
STRUCTURED = ("trainer", "model", "data", "init_args")
"""Keys whose values are trees of keys, never plain dictionaries."""

Key = tuple[str, ...]


class Raw(str):
    """A value as it was typed on the command line; the type of its argument decides how it is
    read."""

    __slots__ = ()


class Dotted(dict[str, Any]):
    """What dotted keys give: it changes single entries, where a dictionary that is written out
    replaces."""


@dataclass
class Source:
    """One config file, or the whole command line; ``tree`` holds no dotted keys any more."""

    name: str
    tree: dict[str, Any]
    typed: dict[Key, str] = field(default_factory=dict)
    """Options of the command line as they were typed."""

    def place(self, path: Key) -> str:
        """Where a key was written, in the user's words."""
        if self.name != COMMAND_LINE:
            return f"{self.name}: key {'.'.join(_as_written(self.tree, path))!r}"
        # items of a list are not numbered on the command line, and ``init_args`` may be left out
        path = tuple(name for name in path if not name.isdigit())
        for key, option in [*self.typed.items()][::-1]:
            if key == path or _without_init_args(key) == _without_init_args(path):
                return option
        for length in range(len(path), 0, -1):
            if path[:length] in self.typed:
                return self.typed[path[:length]]
        return f"--{'.'.join(path)}"


def _as_written(tree: Any, path: Key) -> Key:
    """A key as the file has it, where ``init_args`` may be left out."""
    written: list[str] = []
    node = tree
    for name in path:
        inner = node.get(name, node.get(f"{name}+")) if isinstance(node, Mapping) else None
        if name == "init_args" and isinstance(node, Mapping) and inner is None:
            continue
        node = (
            node[int(name)]
            if isinstance(node, list) and name.isdigit() and int(name) < len(node)
            else inner
        )
        written.append(name)
    return tuple(written)


def _without_init_args(path: Key) -> Key:
    return tuple(name for name in path if name != "init_args")


def read_text_value(text: str) -> Any:
    """A value of the command line as YAML; text that is no YAML stays text."""
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506
    except (yaml.YAMLError, InputError, RecursionError, ValueError):
        return text


def is_class_like(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        str(key).split(".")[0] in {"class_path", "init_args", "dict_kwargs"} for key in value
    )


# The command line


@dataclass
class Words:
    """A command line, taken apart."""

    configs: list[str]
    options: Source
    asked: list[str]
    """``--help`` and its kin, as typed."""
    print_config: str | None = None
    """The flags of ``--print_config``."""


def read_words(words: Sequence[str]) -> Words:
    """Take a command line apart.

    A value is the word that follows its option, whatever it begins with, unless it begins with
    ``--``.

    Raises:
        InputError: an option without a value, or a word that belongs to no option.
    """
    found = Words([], Source(COMMAND_LINE, {}), [])
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in {"-h", "--help"}:
            found.asked = [word]
            return found
        if not word.startswith("--") and word != "-c":
            hint = (
                f"; did you mean --config {word}?"
                if word.endswith((".yaml", ".yml", ".json"))
                else ""
            )
            if word[0:1] in DASHES:
                hint = f"; it begins with a dash of typography: did you mean --{word.lstrip(DASHES + '-')}?"
            raise InputError(f"found {word!r}, which belongs to no option{hint}")
        option, equals, value = word.partition("=")
        if option == "--print_config":
            found.print_config = value
            continue
        has_value = bool(equals)
        if not has_value and rest and not rest[0].startswith("--"):
            value, has_value = rest.pop(0), True
        if option.endswith(".help"):
            found.asked = [option, *([value] if has_value else [])]
            return found
        if not has_value:
            raise InputError(f"option {option}: found no value, expected one after it")
        if option in {"-c", "--config"}:
            if not value:
                raise InputError(
                    f"option {option}: found an empty name, expected a YAML or JSON file"
                )
            found.configs.append(value)
            continue
        key = option.removeprefix("--")
        path = tuple(key.split("."))
        if "" in path:
            raise InputError(
                f"option {option}: found an empty part between dots, expected --KEY.KEY VALUE"
            )
        found.options.typed[(*path[:-1], path[-1].rstrip("+"))] = option
        put(found.options.tree, path, Raw(value), found.options)
    return found


# Config files


class Loader(yaml.SafeLoader):
    """YAML without dates, with 3e-5 as a number, and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if key.value in seen:
                line = key.start_mark.line + 1
                raise InputError(
                    f"line {line}: key {key.value!r} stands twice; the first would be lost"
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_FLOAT = (
    r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+|[-+]?(?:\d[\d_]*)\.[\d_]*|[-+]?\.\d[\d_]*"
)
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":float"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"^(?:{_FLOAT}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)


def read_config(path: str) -> Source:
    """Read a config file: YAML or JSON, nested or of dotted keys.

    Raises:
        InputError: it is absent, no plain file, no UTF-8 text, no YAML, or holds no keys.
    """
    text = _text(path)
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


def _text(path: str) -> str:
    file = Path(path)
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"--config {path}: found a folder, expected a YAML or JSON file")
        if not stat.S_ISREG(mode):
            raise InputError(f"--config {path}: found a pipe or device, expected a plain file")
        if file.stat().st_size > LARGEST:
            raise InputError(
                f"--config {path}: found {file.stat().st_size:,} bytes, too many for a config file"
            )
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"--config {path}: no such file{_nearby(file)}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"--config {path[:200]}: cannot be read: {reason}") from None
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


def expand(node: Mapping[Any, Any], source: Source, path: Key = ()) -> dict[str, Any]:
    """Replace dotted keys by nested ones, where keys are names of arguments."""
    tree: dict[str, Any] = {}
    for key, value in node.items():
        if not isinstance(key, str):
            raise InputError(
                f"{source.place((*path, str(key)))}: found {key!r} as a key, expected a name"
            )
        names = tuple(key.split("."))
        if "" in names:
            raise InputError(f"{source.place((*path, key))}: found an empty part between dots")
        put(tree, names, _expanded(value, source, (*path, *names)), source, path)
    return tree


def _expanded(value: Any, source: Source, path: Key) -> Any:
    if isinstance(value, Mapping):
        if path[-1] in STRUCTURED or is_class_like(value):
            return expand(value, source, path)
        return {key: _expanded(part, source, (*path, str(key))) for key, part in value.items()}
    if isinstance(value, list):
        return [_expanded(part, source, (*path, str(n))) for n, part in enumerate(value)]
    return value


# Dotted keys


def put(
    tree: dict[str, Any], names: Sequence[str], value: Any, source: Source, above: Key = ()
) -> None:
    """Set a dotted key; a class may be named before or after its arguments.

    Raises:
        InputError: a key is given a value and an argument of a class at once.
    """
    node = tree
    for depth, name in enumerate(names[:-1]):
        node = _enter(node, name, source, (*above, *names[: depth + 1]))
    _set(node, names[-1], value, source, (*above, *names))


def _enter(node: dict[str, Any], name: str, source: Source, path: Key) -> dict[str, Any]:
    """The node below a name, made where there is none."""
    if f"{name}+" in node:
        return _last_item(node[f"{name}+"])
    found = node.get(name)
    if isinstance(found, Raw):
        found = read_text_value(found)
    if found is None and (name not in node or source.name == COMMAND_LINE):
        found = Dotted()
    elif isinstance(found, str):
        found = Dotted(class_path=found)
    if isinstance(found, list) and found:
        node[name] = found
        return _last_item(found)
    if not isinstance(found, dict):
        value = "null" if found is None else repr(found)
        raise InputError(
            f"{source.place(path)}: found {value} and also keys below it; give one of the two"
        )
    node[name] = found
    return found


def _last_item(items: list[Any]) -> dict[str, Any]:
    if not isinstance(items[-1], dict):
        items[-1] = Dotted(class_path=str(items[-1]))
    last: dict[str, Any] = items[-1]
    return last


def _set(node: dict[str, Any], name: str, value: Any, source: Source, path: Key) -> None:
    plain = name.rstrip("+")
    found = node.get(plain)
    if name.endswith("+"):
        items = _items(value)
        if isinstance(found, Raw):
            found = read_text_value(found)
        if plain in node:
            node[plain] = [*_items(found), *items]
        else:
            node[name] = [*node.get(name, []), *items]
        return None
    node.pop(f"{name}+", None)
    if name == "class_path" and found is not None and found != value:
        # named anew after arguments that were meant for the other class
        node.pop("init_args", None)
    if isinstance(found, dict):
        loaded = read_text_value(value) if isinstance(value, Raw) else value
        if isinstance(loaded, str):
            return _set(found, "class_path", str(loaded), source, path)
        if isinstance(loaded, dict) and (isinstance(value, dict) or is_class_like(loaded)):
            for key, part in loaded.items():
                _set(found, str(key), part, source, (*path, str(key)))
            return None
        if loaded is None and source.name != COMMAND_LINE:
            raise InputError(
                f"{source.place(path)}: found null and also keys below it; give one of the two"
            )
    elif (
        isinstance(found, str)
        and not isinstance(found, Raw)
        and isinstance(value, dict)
        and is_class_like(value)
    ):
        value = {"class_path": found, **value}
    node[plain] = value
    return None


def _items(value: Any) -> list[Any]:
    if isinstance(value, Raw):
        value = read_text_value(value)
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def sources(words: Words) -> list[Source]:
    """The config files in their order, then the command line, which wins over all of them."""
    return [*(read_config(find_config(path)) for path in words.configs), words.options]


def given(found: Iterable[Source], path: Key) -> str | None:
    """Where a key was set last, in the user's words."""
    place = None
    for source in found:
        if _holds(source.tree, path):
            place = source.place(path)
    return place


def _holds(node: Any, path: Key) -> bool:
    if not path:
        return True
    if isinstance(node, list) and path[0].isdigit() and node:
        return _holds(node[min(int(path[0]), len(node) - 1)], path[1:])
    if not isinstance(node, Mapping):
        return False
    steps = [node[name] for name in (path[0], path[0] + "+") if name in node]
    return any(_holds(step, path[1:]) for step in steps) or (
        path[0] == "init_args" and _holds(node, path[1:])
    )


def is_main_process() -> bool:
    """Whether this process speaks for all."""
    import os

    return os.environ.get("LOCAL_RANK", "0") == "0" and bool(sys.argv)
