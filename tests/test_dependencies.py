"""What is imported is declared in pyproject.toml, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

OWN = {"radio", "data_modules"}
DISTRIBUTIONS = {
    "Stemmer": "PyStemmer",
    "faiss": "faiss-cpu",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Distributions of modules, where the two have different names."""
TOOLS = ("dev", "docs", "integrations", "peers")
"""Extras for who works on RADIO itself: tests and benchmarks use what is in them."""


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imports() -> dict[str, set[str]]:
    """Modules that are imported, also inside functions, and the files that do so."""
    found: dict[str, set[str]] = {}
    for folder in ("src/radio", "data_modules"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for module in imported_by(file):
                top = module.split(".")[0]
                if top not in OWN and top not in sys.stdlib_module_names:
                    found.setdefault(top, set()).add(str(file.relative_to(ROOT)))
    return found


def imported_by(file: Path) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.append(node.module)
    return modules


def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


def requirements() -> list[str]:
    """All that users may install: the dependencies, and those of the extras."""
    extras = project()["optional-dependencies"]
    found = list(project()["dependencies"])
    for extra, names in extras.items():
        if extra not in TOOLS:
            found += names
    return found


def declared() -> set[str]:
    return {distribution_in(line) for line in requirements()}


def distribution_in(requirement: str) -> str:
    return canonical(re.split(r"[\[><=~! ]", requirement)[0])


def distribution_of(module: str) -> str:
    return canonical(DISTRIBUTIONS.get(module, module))


def test_what_is_imported_is_declared() -> None:
    lacking = {
        module: sorted(files)
        for module, files in imports().items()
        if distribution_of(module) not in declared()
    }
    assert lacking == {}


def test_what_is_declared_is_imported() -> None:
    used = {distribution_of(module) for module in imports()}
    assert declared() - used == set()


@pytest.mark.parametrize("line", requirements())
def test_each_says_from_which_version_on_it_works(line: str) -> None:
    assert re.search(r"(>=|==)\d", line)


def test_the_versions_of_the_tests_are_those_that_are_declared() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonical(line.split("==")[0]) for line in lines if "==" in line}
    libraries = project()["optional-dependencies"]["integrations"]
    assert declared() | {distribution_in(line) for line in libraries} <= pinned
