"""The page of a diagnosis: ``pages/diagnose.html``, in the dress of the report about runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio import __version__
from radio.pages import content_hash, template
from radio.reporting.diagnosis import diagnosed, verdicts
from radio.reporting.page import PAGES as SHARED

PAGES = Path(__file__).with_name("pages")

STYLES = (SHARED / "report.css", SHARED / "diagnosis.css")

SHOWN = 50
"""Suspicious questions that the page shows."""

LONGEST = 400
"""Characters of a question that are shown."""


class Suspect(NamedTuple):
    """A question that was seen before, and where."""

    id: str
    question: str
    flags: str
    like: str
    """The nearest training question, or the one that has its words."""
    cosine: str


def page(
    document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], taught: Mapping[str, str]
) -> str:
    """One HTML document without scripts and without anything to load; whatever others wrote is
    escaped.

    Args:
        document: as in ``diagnose.json``.
        rows: of the questions, as in ``diagnose.jsonl``.
        taught: training questions by id.
    """
    style = "\n".join(path.read_text(encoding="utf-8") for path in STYLES)
    suspects = [row for row in rows if set(row["flags"]) - {"closed_book"}]
    return template([PAGES, SHARED], "diagnose.html").render(
        policy=(
            f"default-src 'none'; style-src {content_hash(style)}; base-uri 'none'; "
            "form-action 'none'"
        ),
        style=style,
        document=document,
        groups=diagnosed(document),
        verdicts=list(verdicts(document)),
        suspects=[_suspect(row, taught) for row in suspects[:SHOWN]],
        suspicious=len(suspects),
        version=__version__,
    )


def _suspect(row: Mapping[str, Any], taught: Mapping[str, str]) -> Suspect:
    near = row.get("near") or {}
    text = row.get("overlap", {}).get("training", {}).get("text")
    like = text if "training" in row["flags"] and text else near.get("training_id")
    cosine = near.get("cosine")
    return Suspect(
        row["question_id"],
        _cut(row["question"]),
        ", ".join(flag.replace("_", " ") for flag in row["flags"]),
        _cut(taught.get(like or "", "")),
        "" if cosine is None else f"{cosine:.2f}",
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
