"""Prompts of generators: text files that show a question and passages, never a golden answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from radio.generators.parsing import LETTERS
from radio.generators.verdicts import labels_of
from radio.llm.as_sent import values_of
from radio.llm.prompts import PromptTemplate
from radio.schema import InputError, Passage, Question

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come with this project."""


class GeneratorTemplate(PromptTemplate):
    """A prompt by the name of a shipped one, or by the path of a text file like them.

    Its parts are those of :class:`radio.llm.prompts.PromptTemplate`. The user's part shows
    ``{question}``, or ``{claim}``: what is searched for, where a question is asked about a claim
    (FEVER), without the question around it. It may show ``{choices}`` (one a line, lettered:
    ``A) text``), ``{labels}`` (the choices in one line, without letters; FEVER's three where there
    are none) and ``{passages}``: numbered in their order and delimited, the title in a line of its
    own, escaped.

    Args:
        name: of a shipped prompt, or the path of a file.
        shows_passages: whether there are passages to show.

    Raises:
        InputError: the file cannot be read or has no such parts; it would show golden answers; it
            has no ``{passages}`` where there are some to show, or has it where there are none.
    """

    fields: ClassVar[tuple[str, ...]] = ("claim", "choices", "labels", "passages")
    subjects: ClassVar[tuple[str, ...]] = ("question", "claim")

    def __init__(self, name: str, shows_passages: bool) -> None:
        super().__init__(name, PROMPTS)
        if shows_passages and not self.shows_passages:
            raise InputError(
                f"prompt: {name[:200]!r} has no {{passages}}, so that the generator would not see "
                "what it is to read; add the field, or take a prompt that has it"
            )
        if self.shows_passages and not shows_passages:
            raise InputError(
                f"prompt: {name[:200]!r} has {{passages}}, and a closed-book question has none; "
                "take a prompt without the field"
            )

    def values(self, question: Question, passages: Sequence[Passage]) -> dict[str, str]:
        if len(question.choices) > len(LETTERS):
            raise InputError(
                f"question {question.id!r}: found {len(question.choices)} choices, expected at "
                f"most {len(LETTERS)}, one for each letter"
            )
        return values_of(question.query, question.choices, labels_of(question), passages)

    def _check(self, path: Path, found: set[str]) -> set[str]:
        if "answers" in found:
            raise InputError(
                f"{path}: found the field {{answers}}: a generator is not shown the golden answers"
            )
        return super()._check(path, found)
