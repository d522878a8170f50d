"""Pages of HTML that can be opened by anyone: Jinja2 escapes what is put into them, and the browser
is told what it may run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

NOT_IN_A_SCRIPT = {
    ord(character): f"\\u{ord(character):04x}" for character in ("<", ">", "&", "\u2028", "\u2029")
}
"""What could end a block of JSON in a page, or a line of a script; JSON has other names for it."""

TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Controls that turn the direction of the text around them: with them, a text can look like
another one."""


def template(folders: Sequence[Path], name: str) -> Template:
    """A page to be filled; whatever is put into it is escaped, and what it lacks is an error.

    Args:
        folders: where it and what it includes lie.
        name: of its file.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """A value as the page shows it."""
    return unturned(value) if type(value) is str else value


def unturned(text: str) -> str:
    """A text in which controls that turn its direction are named, rather than obeyed."""
    return TURNING.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)


def inert_json(value: Any) -> str:
    """JSON as the content of ``<script type="application/json">``: nothing in it ends the block, so
    that a template may take it as it is (``| safe``)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(NOT_IN_A_SCRIPT)


def content_hash(text: str) -> str:
    """A script or style sheet as a Content-Security-Policy names it; nothing else of its kind
    runs."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
