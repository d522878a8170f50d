"""Prompts for language models: text files with the parts ``=== system`` and ``=== user``."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import ClassVar

from radio.fingerprints import fingerprint
from radio.schema import InputError, Passage, Question


def shipped(folder: Path) -> list[str]:
    """Names of the prompts that a room of this project has in its folder."""
    return sorted(path.stem for path in folder.glob("*.txt"))


class PromptTemplate:
    """A prompt by the name of a shipped one, or by the path of a text file like them.

    The file has a part ``=== system`` (fixed; may be left out) and a part ``=== user`` with
    ``{question}``, ``{answers}`` (joined by " or "), ``{choices}`` (one a line, nothing if there
    are none) and ``{passages}`` (each in a ``<passage id="...">`` element, escaped: retrieved text
    is not to be obeyed). A literal brace is written twice.

    Args:
        name: of a file in ``folder`` without its ``.txt``, or the path of another.
        folder: where the shipped ones are.

    A subclass may have other fields: it overrides :attr:`fields` and :meth:`values`.

    Raises:
        InputError: unknown name, no such file, no ``=== user`` part, or an unknown field.
    """

    fields: ClassVar[tuple[str, ...]] = ("answers", "choices", "passages")
    """What a file may show beside ``{question}``."""

    subjects: ClassVar[tuple[str, ...]] = ("question",)
    """Of these it must show one: what the prompt is about."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        is_shipped = re.fullmatch(r"\w+", name) is not None
        path = folder / f"{name}.txt" if is_shipped else Path(name).expanduser()
        text = _text(path)
        if text is None:
            raise InputError(
                f"prompt: found {name[:200]!r}, expected one of {', '.join(shipped(folder))}, or "
                f"the path of a text file (relative paths start at {Path.cwd()})"
            )
        self.fingerprint = fingerprint(text)
        self.system, self.user = _parts(path, text)
        self.shows = self._check(path, _fields(path, self.user))
        """The fields that it has."""
        self.shows_passages = "passages" in self.shows

    def render(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        """The user's part, filled in."""
        return self.user.format(question=question.question, **self.values(question, passages))

    def values(self, question: Question, passages: Sequence[Passage]) -> dict[str, str]:
        """What stands for each of :attr:`fields`."""
        options = []
        for number, choice in enumerate(question.choices):
            options.append(f"Option {chr(65 + number)}: {choice}\n")
        shown = []
        for passage in passages:
            contents = escape(passage.contents, quote=False)
            shown.append(f'<passage id="{escape(passage.id)}">\n{contents}\n</passage>')
        return {
            # each once
            "answers": " or ".join(dict.fromkeys(question.golden_answers)),
            "choices": "".join(options),
            "passages": "\n".join(shown),
        }

    def _check(self, path: Path, found: set[str]) -> set[str]:
        """The fields of a file, if it may have them."""
        if found & set(self.subjects) and found <= {"question", *self.fields}:
            return found
        shown = ", ".join(f"{{{field}}}" for field in sorted(found)) or "none"
        known = ", ".join(f"{{{field}}}" for field in self.fields)
        raise InputError(
            f"{path}: found the fields {shown}, expected {{question}} and some of {known}; a "
            "literal brace is written twice"
        )


def _text(path: Path) -> str | None:
    """The text of a file without a byte order mark; None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    except OSError as error:
        raise InputError(f"prompt: {str(path)[:200]}: cannot be read ({error.strerror})") from None


def _parts(path: Path, text: str) -> tuple[str, str]:
    """The parts ``system`` and ``user`` of a file."""
    head, *found = re.split(r"^=== *(\w+) *\n", text, flags=re.MULTILINE)
    texts = [part.strip() for part in found[1::2]]
    sections = dict(zip(found[0::2], texts, strict=True))
    if head.strip() or "user" not in sections or set(sections) - {"system", "user"}:
        raise InputError(
            f"{path}: expected a part '=== user', and at most one '=== system' before it"
        )
    return sections.get("system", ""), sections["user"]


def _fields(path: Path, user: str) -> set[str]:
    """The fields that a user's part shows."""
    fields = set()
    try:
        for _, field, _, _ in string.Formatter().parse(user):
            if field is not None:
                fields.add(field)
    except ValueError as error:
        raise InputError(
            f"{path}: {error}; a literal brace is written twice, {{{{ or }}}}"
        ) from None
    return fields
