"""Tables that a benchmark writes into pages of docs/, each between two marks of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radio.lines import atomic_write

MARK = "<!-- {what} {end} by {who} -->"


def write_part(pages: Sequence[Path], who: str, what: str, lines: Sequence[str]) -> None:
    """Print lines; they go between the two marks of this part, on the page that has these.

    Args:
        pages: of a benchmark; one that has no such marks is left as it is.
        who: module of the benchmark, as the marks name it.
        what: the part.
        lines: Markdown.
    """
    print("\n" + "\n".join(lines), flush=True)
    begin, end = (MARK.format(what=what, end=end, who=who) for end in ("begins", "ends"))
    texts = {path: path.read_text(encoding="utf-8") for path in pages}
    if not any(begin in page for page in texts.values()):
        print(f"written nowhere: no page of {', '.join(map(str, pages))} has {begin!r}")
    for path, page in texts.items():
        if begin not in page:
            continue
        before, rest = page.split(begin)
        after = rest.split(end)[1]
        with atomic_write(path) as file:
            file.write("\n".join([before + begin, "", *lines, "", end + after]))
