"""A prompt of a generator as it is sent: what it is put together from, for those too who have no
model, and the key that tells whether it is the same again."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from radio.fingerprints import fingerprint
from radio.schema import Passage

Parts = Sequence[Sequence[str]]
"""Of a template: each text that stands in it, with the field that follows; the last has none, an
empty one."""


def in_parts(user: str) -> list[list[str]]:
    """A template of ``str.format`` in :data:`Parts`; a field is shown as it is, whatever else is
    said of it."""
    parts = string.Formatter().parse(user)
    return [[text, field or ""] for text, field, _, _ in parts]


def put_together(parts: Parts, values: Mapping[str, str]) -> str:
    """A template with what stands for its fields."""
    return "".join(text + (values[field] if field else "") for text, field in parts)


def values_of(
    query: str, choices: Sequence[str], labels: Sequence[str], passages: Sequence[Passage]
) -> dict[str, str]:
    """What stands for each field of a generator's prompt, but for the question.

    Args:
        query: what was searched for.
        choices: of the question.
        labels: what may be answered where it has no choices.
        passages: that are read, best first.
    """
    options = []
    for letter, choice in zip(string.ascii_uppercase, choices, strict=False):
        options.append(f"{letter}) {choice}\n")
    shown = [delimited(number, passage) for number, passage in enumerate(passages, start=1)]
    return {
        "claim": query,
        "choices": "".join(options),
        "labels": ", ".join(label.replace("_", " ") for label in choices or labels),
        "passages": "\n".join(shown),
    }


def delimited(number: int, passage: Passage) -> str:
    """A passage as untrusted data: nothing in it can end its element."""
    title = f"Title: {escape(passage.title, quote=False)}\n" if passage.title else ""
    text = escape(passage.text, quote=False)
    return f'<passage number="{number}">\n{title}{text}\n</passage>'


def answer_key(generator: str, asked: Sequence[Any]) -> str:
    """Cache key of an answer.

    Args:
        generator: its fingerprint.
        asked: what the answer may depend on; of a language model the fingerprint of its template,
            the system's part, and the user's as it is sent.
    """
    return fingerprint(["answer/3", generator, *asked])
