"""Config files and the command line as trees of keys, each with the place where it was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from radio.config.values import Key

COMMAND_LINE = "the command line"


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
        # items of a list may have no number on the command line, and ``init_args`` be left out
        unnumbered = tuple(name for name in path if not name.isdigit())
        for wanted in (path, unnumbered):
            for key, option in [*self.typed.items()][::-1]:
                if _without_init_args(key) == _without_init_args(wanted):
                    return option
        path = unnumbered
        for length in range(len(path), 0, -1):
            if path[:length] in self.typed:
                return self.typed[path[:length]]
        return f"--{'.'.join(path)}"


def _as_written(tree: object, path: Key) -> Key:
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


def given(found: Iterable[Source], path: Key) -> str | None:
    """Where a key was set last, in the user's words."""
    place = None
    for source in found:
        if _holds(source.tree, path):
            place = source.place(path)
    return place


def _holds(node: object, path: Key) -> bool:
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
