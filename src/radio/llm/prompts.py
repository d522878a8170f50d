"""Prompts of rationale writers: text files with the parts ``=== system`` and ``=== user``."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from html import escape
from pathlib import Path

from radio.fingerprints import fingerprint
from radio.schema import InputError, Passage, Question

FOLDER = Path(__file__).parents[1] / "rationales" / "prompts"
FIELDS = ("question", "answers", "choices", "passages")


def shipped() -> list[str]:
    """Names of the prompts that come with this project."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def _text(path: Path) -> str | None:
    """The text of a file without a byte order mark; None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from None
    except OSError as error:
        raise InputError(f"prompt: {str(path)[:200]}: cannot be read ({error.strerror})") from None


class PromptTemplate:
    """A prompt by the name of a shipped one, or by the path of a text file like them.

    The file has a part ``=== system`` (fixed; may be left out) and a part ``=== user`` with
    ``{question}``, ``{answers}`` (joined by " or "), ``{choices}`` (one a line, nothing if there
    are none) and ``{passages}`` (each in a ``<passage id="...">`` element, escaped: retrieved text
    is not to be obeyed). A literal brace is written twice.

    Raises:
        InputError: unknown name, no such file, no ``=== user`` part, or an unknown field.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        path = FOLDER / f"{name}.txt" if re.fullmatch(r"\w+", name) else Path(name).expanduser()
        text = _text(path)
        if text is None:
            raise InputError(
                f"prompt: found {name[:200]!r}, expected one of {', '.join(shipped())}, or the "
                f"path of a text file (relative paths start at {Path.cwd()})"
            )
        self.fingerprint = fingerprint(text)
        parts = re.split(r"^=== *(\w+) *\n", text, flags=re.MULTILINE)
        sections = dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
        if parts[0].strip() or "user" not in sections or set(sections) - {"system", "user"}:
            raise InputError(
                f"{path}: expected a part '=== user', and at most one '=== system' before it"
            )
        self.system = sections.get("system", "")
        self.user = sections["user"]
        try:
            fields = {
                field for _, field, _, _ in string.Formatter().parse(self.user) if field is not None
            }
        except ValueError as error:
            raise InputError(
                f"{path}: {error}; a literal brace is written twice, {{{{ or }}}}"
            ) from None
        if fields - set(FIELDS) or "question" not in fields:
            shown = ", ".join(f"{{{field}}}" for field in sorted(fields)) or "none"
            raise InputError(
                f"{path}: found the fields {shown}, expected {{question}} and some of {{answers}}, "
                "{choices}, {passages}; a literal brace is written twice"
            )
        self.shows_passages = "passages" in fields
        self.shows_answers = "answers" in fields

    def render(self, question: Question, passages: Sequence[Passage] = ()) -> str:
        """The user's part, filled in."""
        choices = "".join(
            f"Option {chr(65 + i)}: {choice}\n" for i, choice in enumerate(question.choices)
        )
        shown = "\n".join(
            f'<passage id="{escape(passage.id)}">\n{escape(passage.contents, quote=False)}\n</passage>'
            for passage in passages
        )
        answers = " or ".join(dict.fromkeys(question.golden_answers))
        fields = {
            "question": question.question,
            "answers": answers,
            "choices": choices,
            "passages": shown,
        }
        text: str = self.user.format_map(fields)
        return text
