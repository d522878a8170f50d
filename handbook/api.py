"""The Python API, room by room, from the docstrings: what mkdocstrings is asked for."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmarks.house import FLOORS, MODULES, room_of

LEFT_OUT = ("__main__",)
"""Rooms without anything to import."""

INDEX = """# Python API

All public classes and functions, by the rooms of [the house](../house.md), from the roof to the
ground. Who takes the parts by their names in a config finds their settings in the
[configuration](../configuration/index.md).

| room | what is in it |
|---|---|
"""


def pages() -> dict[str, str]:
    """A page for each room, and one that lists them."""
    rows, found = [], {}
    for room in [room for floor in FLOORS for room in floor if room not in LEFT_OUT]:
        modules = [name for name in MODULES if room_of(name) == room]
        shown = [name for name in modules if _has_public(MODULES[name])]
        if not shown:
            continue
        about = next((_first_line(MODULES[name]) for name in modules), "")
        rows.append(f"| [{room}]({room}.md) | {about} |")
        parts = [f"# {room}", about]
        parts += [f"::: {name}" for name in shown]
        found[f"api/{room}.md"] = "\n\n".join(parts) + "\n"
    return {"api/index.md": INDEX + "\n".join(rows) + "\n", **found}


def public_names(path: Path) -> list[str]:
    """Classes and functions that a file defines for others."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            names.append(node.name)
    return names


def _has_public(path: Path) -> bool:
    return bool(public_names(path))


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")
