"""A notebook as a page: text, code, and what its cells have printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def page_of(path: Path) -> str:
    """Markdown of a notebook; pictures and HTML that its cells show are left out."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        printed = "".join(_printed(output) for output in cell.get("outputs", [])).strip("\n")
        if printed:
            parts.append(f"```text\n{printed}\n```")
    return "\n\n".join(parts) + "\n"


def _printed(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream" and output["name"] == "stdout":
        return "".join(output["text"])
    return "".join(output.get("data", {}).get("text/plain", [])) + "\n"
