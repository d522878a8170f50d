"""README.md is the home page of the site; ``python -m handbook.readme`` writes it."""

from __future__ import annotations

import posixpath
import re

from handbook.navigation import DOCS, ROOT
from handbook.rewriting import FENCE, LINK
from radio.lines import atomic_write


def readme() -> str:
    """The home page, with links as they are from the root of the repository."""
    parts = FENCE.split((DOCS / "index.md").read_text(encoding="utf-8"))
    return "".join(
        part if part.startswith("```") else LINK.sub(_from_the_root, part) for part in parts
    )


def _from_the_root(match: re.Match[str]) -> str:
    picture, text, target, anchor = match.groups()
    if not target or ":" in target:
        return match[0]
    place = posixpath.normpath(posixpath.join("docs", target))
    return f"{picture}[{text}]({place}{anchor or ''})"


if __name__ == "__main__":
    with atomic_write(ROOT / "README.md") as file:
        file.write(readme())
