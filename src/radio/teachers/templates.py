"""A text made of a question, its golden answers and its rationale."""

from __future__ import annotations

from string import Formatter

from radio.schema import InputError, Question, Rationale


class TextTemplate:
    """Fills in ``{question}``, ``{answers}`` and ``{rationale}``.

    Args:
        owner: whose it is, and which setting, for messages.
        template: the text with its fields.
        separator: put between several golden answers.

    Raises:
        InputError: it has another field, or none.
    """

    def __init__(self, owner: str, template: str, separator: str = ", ") -> None:
        self.template = template
        self.separator = separator
        try:
            template.format(question="", answers="", rationale="")
            fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise InputError(
                f"{owner} {template!r} has an unknown field ({error}); expected {{question}}, "
                "{answers} and {rationale}"
            ) from None
        if not fields:
            raise InputError(
                f"{owner}: found {template!r}, the same text for every question; expected at least "
                "one of {question}, {answers} and {rationale}"
            )
        self.fields = fields

    def text(self, question: Question, rationale: Rationale | None) -> str:
        """The text for one question."""
        return self.template.format(
            question=question.question,
            answers=self.separator.join(question.golden_answers),
            rationale=rationale.text if rationale else "",
        )
