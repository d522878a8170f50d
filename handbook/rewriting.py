"""From a page as it reads in the repository to one of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from handbook.drawing import drawing
from handbook.navigation import DOCS, OUTSIDE, ROOT

FENCE = re.compile(r"^(```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
MERMAID = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)
ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc|obj):`~?([^`]+)`")


def of_site(text: str, origin: str, name: str) -> str:
    """A page of the site.

    Pictures stand in the page itself, so that they have its colours. Links lead to pages of the
    site, under their titles where the text was a path.

    Args:
        text: Markdown as it reads in the repository.
        origin: path of the page, from the root of the repository.
        name: what it is called on the site, relative to docs/.
    """
    parts = FENCE.split(text)
    for number, part in enumerate(parts):
        if mermaid := MERMAID.match(part):
            parts[number] = figure(drawing(mermaid[1]))
        elif not part.startswith("```"):
            parts[number] = LINK.sub(_link(origin, name), part)
    return "".join(parts)


def _link(origin: str, name: str) -> Callable[[re.Match[str]], str]:
    def rewritten(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        if not target or ":" in target:
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        if picture and place.endswith(".svg"):
            return figure((ROOT / place).read_text(encoding="utf-8"), text)
        page = OUTSIDE.get(place) or place.removeprefix("docs/").replace(".ipynb", ".md")
        if page == place:
            # no page of the site: MkDocs says so
            return match[0]
        if re.fullmatch(r"(docs|benchmarks)/[\w/-]+\.md", text):
            text = title_of(place)
        start = posixpath.dirname(name)
        return f"{picture}[{text}]({posixpath.relpath(page, start or '.')}{anchor or ''})"

    return rewritten


def title_of(place: str) -> str:
    """First heading of a page; its name where it is generated."""
    path = ROOT / place
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                return line.removeprefix("# ").strip()
    return path.stem


def figure(svg: str, caption: str = "") -> str:
    """A picture within the page."""
    drawn = " ".join(line.strip() for line in svg.splitlines() if line.strip())
    drawn = re.sub(r"<\?xml.*?\?>|<!--.*?-->|<style>.*?</style>|<title>.*?</title>", "", drawn)
    label = f' role="img" aria-label="{caption}"' if caption else ""
    return f'\n<div class="picture"{label}>{drawn}</div>\n'


def without_roles(text: str) -> str:
    """A docstring without the roles of Sphinx: the names alone, as code."""
    return ROLE.sub(lambda match: f"`{match[1]}`", text)


def origin_of(name: str) -> str:
    """Path of a page of the site from the root of the repository."""
    for place, page in OUTSIDE.items():
        if page == name and not (DOCS / name).is_file():
            return place
    return f"docs/{name}"
