"""Prompts of teachers: text files that show a question, passages, and what is known of the
answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from radio.llm.as_sent import delimited
from radio.llm.prompts import PromptTemplate
from radio.schema import InputError, Passage, Question
from radio.teachers.base import Lesson

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come with this project."""

Shown = Literal["question", "answers", "rationale", "both"]
"""What a model is told of the answer: nothing, the golden answers, the rationale, both."""

Kind = TypeVar("Kind", bound=Passage)


class JudgeTemplate(PromptTemplate):
    """A prompt by the name of a shipped one, or by the path of a text file like them.

    Its parts are those of :class:`radio.llm.prompts.PromptTemplate`. The user's part shows
    ``{passages}``, numbered in their order and delimited, and may show ``{choices}`` (one a line,
    nothing if there are none) and ``{known}``: lines with the golden answers and the rationale, as
    far as they are to be shown, nothing else. All texts but the question's are escaped.

    Args:
        name: of a shipped prompt, or the path of a file.
        show: what is told of the answer.

    Raises:
        InputError: the file cannot be read or has no such parts; it has no ``{passages}``, or no
            ``{known}`` where something is to be shown there.
    """

    fields: ClassVar[tuple[str, ...]] = ("choices", "known", "passages")

    def __init__(self, name: str, show: Shown) -> None:
        super().__init__(name, PROMPTS)
        self._show = show
        if not self.shows_passages:
            raise InputError(
                f"prompt: {name[:200]!r} has no {{passages}}, so that the model would not see what "
                "it is to judge; add the field"
            )
        if show != "question" and "known" not in self.shows:
            raise InputError(
                f"prompt: {name[:200]!r} has no {{known}}, where show: {show} would be seen; add "
                "the field, or take show: question"
            )

    def filled(self, lesson: Lesson, passages: Sequence[Passage]) -> str:
        """The user's part, for some passages of a lesson."""
        values = self.values(lesson.question, passages)
        values["known"] = self._known(lesson)
        return self.user.format(question=lesson.question.question, **values)

    def values(self, question: Question, passages: Sequence[Passage]) -> dict[str, str]:
        choices = super().values(question, ())["choices"]
        shown = []
        for number, passage in enumerate(passages, start=1):
            shown.append(delimited(number, passage))
        return {"choices": choices, "known": "", "passages": "\n".join(shown)}

    def _known(self, lesson: Lesson) -> str:
        lines = ""
        if self._show in ("answers", "both"):
            # each once
            answers = " or ".join(dict.fromkeys(lesson.question.golden_answers))
            lines += f"Right answer: {escape(answers, quote=False)}\n"
        if self._show in ("rationale", "both") and lesson.rationale is not None:
            text = escape(lesson.rationale.text.strip(), quote=False)
            lines += f"Why it is right:\n<rationale>\n{text}\n</rationale>\n"
        return lines


def first_words(passage: Kind, count: int) -> Kind:
    """The passage with so many words of its text, as they stand there; its title stays whole."""
    head, newline, _ = passage.contents.partition("\n")
    words = list(re.finditer(r"\S+", passage.text))
    if len(words) <= count:
        return passage
    text = passage.text[: words[count - 1].end()]
    return replace(passage, contents=f"{head}{newline}{text}" if newline else text)
