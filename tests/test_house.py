"""The house: a room imports from the rooms below it alone, and each file's tests are where one
looks for them."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from benchmarks.house import (
    FLOOR,
    MODULES,
    PAGE,
    circles_of,
    doors,
    drawn,
    imports_of,
    room_of,
)
from tests.conftest import ROOT

LONGEST = 400
"""Lines of a file that is still one room."""


def test_every_room_has_its_floor() -> None:
    rooms = {room for room in map(room_of, MODULES) if room is not None}
    assert rooms == set(FLOOR)


def test_no_import_leads_upwards() -> None:
    upwards = [place for here, there, place in doors() if FLOOR[there] < FLOOR[here]]
    assert upwards == []


def test_neighbours_are_joined_by_one_way_doors() -> None:
    level = {(here, there) for here, there, _ in doors() if FLOOR[here] == FLOOR[there]}
    circles = circles_of(level)
    assert circles == []


def test_no_file_imports_another_in_a_circle() -> None:
    edges = set()
    for module, path in MODULES.items():
        for _, name in imports_of(path):
            # a package's __init__ collects what its files define
            if (
                name in MODULES
                and MODULES[name].name != "__init__.py"
                and path.name != "__init__.py"
            ):
                edges.add((module, name))
    assert circles_of(edges) == []


def test_no_private_name_crosses_a_file() -> None:
    crossing = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.split(".")[0] not in ("radio", "data_modules"):
                continue
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            private = [name for name in private if not name.startswith("__")]
            crossing += [f"{module}: {name} of {node.module}" for name in private]
    assert crossing == []


def test_the_picture_is_that_of_the_present_imports() -> None:
    assert PAGE.read_text(encoding="utf-8") == drawn()


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git, and a clone of the repository")
    return [ROOT / name for name in found.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_is_longer_than_one_reads() -> None:
    long = []
    for path in tracked("*.py", "*.html", "*.css", "*.js", "*.md", "*.yaml", "*.toml"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST:
            long.append(f"{path.relative_to(ROOT)}: {lines}")
    assert long == []


SAME_AS = {
    f"data_modules.{name}": "data_modules/test_flashrag"
    for name in (
        *("hotpot_qa", "musique", "natural_questions", "pop_qa"),
        *("trivia_qa", "two_wiki", "web_questions"),
    )
}
"""Files whose tests stand beside those of another file, and where."""


@pytest.mark.parametrize(
    "module", [name for name, path in MODULES.items() if path.name != "__init__.py"]
)
def test_each_file_has_its_tests_where_one_looks_for_them(module: str) -> None:
    names = module.removeprefix("radio.").split(".")
    folder = ROOT.joinpath("tests", *names[:-1])
    found = [
        *folder.glob(f"test_{names[-1].strip('_')}.py"),
        *folder.glob(f"test_{names[-1]}_*.py"),
    ]
    if module in SAME_AS:
        found.append(ROOT / "tests" / f"{SAME_AS[module]}.py")
    assert [path for path in found if path.is_file()], (
        f"expected tests/{'/'.join(names[:-1])}/test_{names[-1]}.py"
    )
