"""MMLU (Hendrycks et al., ICLR 2021): multiple-choice questions of 57 subjects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from data_modules.flashrag import FlashRAGDataModule
from radio.schema import Question


class MMLUDataModule(FlashRAGDataModule):
    """MMLU (Hendrycks et al., ICLR 2021): multiple-choice questions of 57 subjects.

    Subject and category are in ``question.metadata``; the golden answer is the text of the right
    choice.

    Args:
        choices_in_query: whether passages are searched and ranked for question and choices, or the
            question alone.
        subjects: only these subjects.
        kwargs: arguments of FlashRAGDataModule.
    """

    dataset = "mmlu"
    task = "multiple_choice"

    def __init__(
        self, choices_in_query: bool = True, subjects: list[str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.choices_in_query = choices_in_query
        self.subjects = subjects

    def keep(self, question: Question) -> bool:
        return self.subjects is None or question.metadata.get("subject") in self.subjects

    def convert(self, question: Question) -> Question:
        if not self.choices_in_query:
            return question
        return replace(question, search=" ".join([question.question, *question.choices]))
