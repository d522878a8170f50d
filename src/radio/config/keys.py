"""Dotted keys: set one by one, or replaced by nested ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radio.config.sources import COMMAND_LINE, Source
from radio.config.values import Dotted, Key, Raw, is_class_like, read_text_value
from radio.schema import InputError

STRUCTURED = ("trainer", "model", "data", "init_args")
"""Keys whose values are trees of keys, never plain dictionaries."""


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
    """Set a key of a node; what is there already may be a class that the value names or changes."""
    if name.endswith("+"):
        _append(node, name, _items(value))
        return
    before = node.get(name)
    node.pop(f"{name}+", None)
    if name == "class_path" and before is not None and before != value:
        # named anew after arguments that were meant for the other class
        node.pop("init_args", None)
    if isinstance(before, dict):
        loaded = read_text_value(value) if isinstance(value, Raw) else value
        if isinstance(loaded, str):
            _set(before, "class_path", str(loaded), source, path)
            return
        if isinstance(loaded, dict) and (isinstance(value, dict) or is_class_like(loaded)):
            for key, part in loaded.items():
                _set(before, str(key), part, source, (*path, str(key)))
            return
        if loaded is None and source.name != COMMAND_LINE:
            raise InputError(
                f"{source.place(path)}: found null and also keys below it; give one of the two"
            )
    names_class = isinstance(before, str) and not isinstance(before, Raw)
    if names_class and isinstance(value, dict) and is_class_like(value):
        value = {"class_path": before, **value}
    node[name] = value


def _append(node: dict[str, Any], name: str, items: list[Any]) -> None:
    """Add items to the list of a key ``name+``; to what stands under the plain key, if there is
    such a list in the same source."""
    plain = name.rstrip("+")
    if plain in node:
        node[plain] = [*_items(node[plain]), *items]
    else:
        node[name] = [*node.get(name, []), *items]


def _items(value: Any) -> list[Any]:
    if isinstance(value, Raw):
        value = read_text_value(value)
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
