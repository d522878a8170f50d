"""The rooms of the house and the doors between them; ``python -m benchmarks.house`` draws
docs/house.md.

The order stands here and nowhere else: tests/test_house.py holds it, and that the picture is the
present one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from radio.lines import atomic_write

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "house.md"
BEGIN, END = "```mermaid", "```"

ROOMS = """
    __main__ cli trainer
    commands
    transfer diagnosing
    config
    callbacks
    data_modules
    data
    reporting
    comparing
    runs
    evaluation
    rationales
    teachers
    generators
    llm rerankers
    samplers retrievers losses
    indexes
    encoders fusion
    corpus formats metrics
    engines
    models
    cache fingerprints
    batching contracts mapped mounts processes lines pages ranges text crashes normalising
    mapped_files disk
    schema secrecy
"""
"""From the roof to the ground. On a floor rooms are neighbours: a door leads one way at most."""

FLOORS = [line.split() for line in ROOMS.strip().splitlines()]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def source_files() -> Iterator[tuple[str, Path]]:
    """Module name and path of all files of the two packages."""
    for package in (ROOT / "src" / "radio", ROOT / "data_modules"):
        for path in sorted(package.rglob("*.py")):
            parts = [package.name, *path.relative_to(package).with_suffix("").parts]
            if parts[-1] == "__init__":
                parts.pop()
            yield ".".join(parts), path


MODULES = dict(source_files())


def room_of(module: str) -> str | None:
    """The room that a module is in; None for the package itself, which holds the version alone."""
    names = module.split(".")
    if names[0] == "data_modules":
        return "data_modules"
    return names[1] if len(names) > 1 else None


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each module of this project that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.append(whole if whole in MODULES else node.module)
        for name in names:
            if name.split(".")[0] in ("radio", "data_modules"):
                yield getattr(node, "lineno", 0), name


def doors() -> Iterator[tuple[str, str, str]]:
    """Each import from another room: room, the other room, and where it stands."""
    for module, path in MODULES.items():
        here = room_of(module)
        for line, name in imports_of(path):
            there = room_of(name)
            if here is not None and there is not None and here != there:
                yield here, there, f"{path.relative_to(ROOT)}:{line} imports {name}"


def circles_of(edges: set[tuple[str, str]]) -> list[str]:
    """Names that lie on a circle: those that are left when all without a way in or out are gone."""
    while True:
        sources = {first for first, _ in edges}
        targets = {second for _, second in edges}
        kept = {(a, b) for a, b in edges if a in targets and b in sources}
        if kept == edges:
            return sorted({name for edge in edges for name in edge})
        edges = kept


def picture() -> str:
    """The rooms by floor and the doors between them, as a Mermaid graph.

    A door to a room that can be reached through another one is left out, since the picture would be
    black with them.
    """
    edges = {(here, there) for here, there, _ in doors()}
    lines = ["graph TD"]
    for number, rooms in enumerate(FLOORS):
        lines.append(f"  subgraph floor{len(FLOORS) - number}[ ]")
        lines += [f"    {room}[{room.strip('_')}]" for room in rooms]
        lines.append("  end")
    for here, there in sorted(edges, key=lambda edge: (FLOOR[edge[0]], edge)):
        others = edges - {(here, there)}
        if not reaches(here, there, others):
            lines.append(f"  {here} --> {there}")
    return "\n".join(lines)


def reaches(start: str, end: str, edges: set[tuple[str, str]]) -> bool:
    """Whether doors lead from one room to another."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        room = waiting.pop()
        if room == end:
            return True
        if room not in seen:
            seen.add(room)
            waiting += [there for here, there in edges if here == room]
    return False


def drawn() -> str:
    """The page with the present picture."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(f"\n{END}")
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


if __name__ == "__main__":
    page = drawn()
    with atomic_write(PAGE) as file:
        file.write(page)
