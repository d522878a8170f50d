"""What stands where on the site."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

SECTIONS: dict[str, list[str]] = {
    "Start": [
        "index.md",
        "concepts.md",
        "tutorials/own-data.md",
        "tutorials/notebook.md",
    ],
    "How to": [
        "how-to/dataset.md",
        "how-to/loss.md",
        "how-to/reranker.md",
        "how-to/teacher.md",
        "how-to/generator.md",
        "how-to/paper.md",
        "how-to/read-a-report.md",
        "how-to/no-gain.md",
        "how-to/collapse.md",
        "how-to/slow.md",
        "how-to/out-of-memory.md",
        "diagnosing.md",
        "sweeps.md",
        "restarts.md",
        "processes.md",
        "using.md",
        "integrations.md",
    ],
    "Guide": [
        "configs.md",
        "rationales.md",
        "teachers.md",
        "losses.md",
        "rerankers.md",
        "generators.md",
        "language-models.md",
        "evaluation.md",
        "metrics.md",
        "comparing.md",
        "report.md",
        "transfer.md",
        "scaling.md",
        "ray.md",
    ],
    "Results": [
        "results.md",
        "results-test.md",
        "results-dev.md",
        "trials.md",
        "teachers-figures.md",
        "benchmarks.md",
        "quickstart-data.md",
        "inputs.md",
    ],
    "Reference": [
        "commands.md",
        "configuration/index.md",
        "run-folder.md",
        "house.md",
        "api/index.md",
        "changelog.md",
    ],
}
"""Pages by section, in their order. One that is not there is left out; one that is there and stands
nowhere fails the strict build."""

OUTSIDE = {
    "benchmarks/README.md": "benchmarks.md",
    "data_modules/quickstart/README.md": "quickstart-data.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
"""Pages of the repository that do not lie in docs/, and what they are called on the site."""


Entry = str | dict[str, list[str]]


def navigation(pages: Container[str], below: dict[str, list[str]]) -> list[dict[str, list[Entry]]]:
    """The navigation as MkDocs has it, of the pages that are there.

    Args:
        pages: names of all pages, relative to docs/.
        below: pages that stand below an ``index.md``, by its name.
    """
    found = []
    for title, names in SECTIONS.items():
        entries: list[Entry] = []
        for name in names:
            if name not in pages:
                continue
            if name in below:
                entries.append({GROUPS[name]: [name, *below[name]]})
            else:
                entries.append(name)
        found.append({title: entries})
    return found


GROUPS = {"configuration/index.md": "Configuration", "api/index.md": "Python API"}
"""Titles of the pages that others stand below."""
