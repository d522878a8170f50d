"""What pages of the repository become on the site."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from handbook import api, commands
from handbook.drawing import drawing
from handbook.navigation import DOCS, OUTSIDE, SECTIONS, navigation
from handbook.notebook import page_of
from handbook.readme import readme
from handbook.rewriting import of_site
from radio.commands import COMMANDS
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("origin", "name", "text", "expected"),
    [
        ("docs/a.md", "a.md", "[docs/metrics.md](metrics.md#x)", "[Metrics](metrics.md#x)"),
        ("docs/how-to/a.md", "how-to/a.md", "[t](../report.md)", "[t](../report.md)"),
        ("docs/h/a.md", "h/a.md", "[b](../../benchmarks/README.md)", "[b](../benchmarks.md)"),
        ("benchmarks/README.md", "benchmarks.md", "[x](../docs/losses.md)", "[x](losses.md)"),
        ("docs/a.md", "a.md", "[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
        ("docs/a.md", "a.md", "[n](tutorials/notebook.ipynb)", "[n](tutorials/notebook.md)"),
        ("docs/a.md", "a.md", "```text\n[x](../README.md)\n```", "```text\n[x](../README.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(origin: str, name: str, text: str, expected: str) -> None:
    assert of_site(text, origin, name) == expected


def test_a_picture_stands_in_the_page_and_brings_no_style_for_others() -> None:
    page = of_site("![What flows](images/flow.svg)", "docs/a.md", "a.md")
    assert '<div class="picture" role="img" aria-label="What flows"><svg class="flow"' in page
    assert "<style>" not in page
    assert "\n\n" not in page.strip()


def test_a_graph_of_mermaid_is_drawn() -> None:
    floors = "subgraph floor2[ ]\na[top]\nend\nsubgraph floor1[ ]\nb[low]\nend\n"
    graph = f"graph TD\n{floors}a --> b\n"
    page = of_site(f"before\n```mermaid\n{graph}```\nafter", "docs/house.md", "house.md")
    assert "mermaid" not in page
    assert page.count("<rect") == 2
    assert page.count("<path") == 1
    assert ">top</text>" in page


def test_the_house_is_drawn_whole() -> None:
    text = (DOCS / "house.md").read_text()
    graph = text.partition("```mermaid\n")[2].partition("```")[0]
    drawn = drawing(graph)
    assert drawn.count("<path") == graph.count("-->")
    rooms = [line for line in graph.splitlines() if line.endswith("]") and "subgraph" not in line]
    assert drawn.count("<rect") == len(rooms)


def test_pages_that_do_not_exist_yet_are_left_out_of_the_navigation() -> None:
    pages = ["index.md", "report.md", "api/index.md", "api/x.md"]
    found = navigation(pages, {"api/index.md": ["api/x.md"]})
    assert found[0] == {"Start": ["index.md"]}
    assert {"Guide": ["report.md"]} in found
    assert found[-1] == {"Reference": [{"Python API": ["api/index.md", "api/x.md"]}]}


def test_every_page_of_docs_stands_in_the_navigation() -> None:
    named = {name for names in SECTIONS.values() for name in names}
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - named == set()
    assert set(OUTSIDE.values()) <= named


def test_a_notebook_is_a_page_with_what_it_has_printed(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "source": ["print(1)\n", "2"],
            "outputs": [
                {"output_type": "stream", "name": "stderr", "text": ["a warning\n"]},
                {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
                {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
            ],
        },
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert page_of(path) == ("# Title\ntext\n\n```python\nprint(1)\n2\n```\n\n```text\n1\n2\n```\n")


def test_each_command_has_its_options() -> None:
    page = commands.pages()["commands.md"]
    for name, command in COMMANDS.items():
        assert f"## radio {name}\n" in page
        if command.own_parser:
            assert f"usage: radio {name}" in page
        for option in command.options() if not command.own_parser else ():
            assert f"| `{option}` |" in page


def test_each_public_class_and_function_is_in_a_room() -> None:
    pages = "\n".join(api.pages().values())
    for package in ("src/radio", "data_modules"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.stem == "__main__" or not api.public_names(path):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = ".".join(part for part in parts if part not in ("src", "__init__"))
            assert f"::: {module}\n" in pages


def test_each_public_class_and_function_says_what_it_is() -> None:
    """One that does not is left out of the reference."""
    silent = []
    for package in ("src/radio", "data_modules"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                public = isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"
                if public and not ast.get_docstring(node):
                    silent.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert silent == []


def test_the_home_page_reads_in_the_repository_too() -> None:
    page = readme()
    assert "(docs/tutorials/own-data.md)" in page
    assert "(benchmarks/README.md)" in page
    assert "](docs/images/flow.svg)" in page
    for place in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (ROOT / place).is_file()
