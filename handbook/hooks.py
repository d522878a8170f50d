"""What MkDocs calls while it builds the site (mkdocs.yml, ``hooks``)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# MkDocs loads this file by its path
sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from handbook import api, commands, configuration  # noqa: E402
from handbook.navigation import DOCS, OUTSIDE, ROOT, navigation  # noqa: E402
from handbook.notebook import page_of  # noqa: E402
from handbook.rewriting import of_site, origin_of  # noqa: E402

NOTEBOOK = "tutorials/notebook"
# of Sphinx, in a docstring that has become HTML
ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc|obj):<code>~?([^<]+)</code>")


def generated() -> dict[str, str]:
    """Pages that are no files of docs/, by name."""
    pages = {}
    for place, name in OUTSIDE.items():
        if not (DOCS / name).is_file():
            pages[name] = (ROOT / place).read_text(encoding="utf-8")
    notebook = DOCS / f"{NOTEBOOK}.ipynb"
    if notebook.is_file():
        pages[f"{NOTEBOOK}.md"] = page_of(notebook)
    return {**pages, **commands.pages(), **configuration.pages(), **api.pages()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, then say what stands where."""
    made = generated()
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    names = [file.src_uri for file in files.documentation_pages()]
    below = {}
    for index in ("configuration/index.md", "api/index.md"):
        folder = index.removesuffix("index.md")
        below[index] = [name for name in made if name.startswith(folder) and name != index]
    config.nav = navigation(names, below)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links and pictures as the site has them."""
    name = page.file.src_uri
    return of_site(markdown, origin_of(name), name)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Names in docstrings without the marks of another tool."""
    return ROLE.sub(r"<code>\1</code>", html)
