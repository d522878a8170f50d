"""FEVER (Thorne et al., NAACL 2018): claims that evidence supports or refutes."""

from __future__ import annotations

from dataclasses import replace

from data_modules.flashrag import FlashRAGDataModule
from radio.schema import Question

LABELS = ("SUPPORTS", "REFUTES")


class FEVERDataModule(FlashRAGDataModule):
    """FEVER (Thorne et al., NAACL 2018): claims that evidence supports or refutes; the answer is
    the label.

    Passages are searched and ranked for the claim; a writer of rationales or a generator is asked
    about it.
    """

    dataset = "fever"
    task = "fact_verification"

    def convert(self, question: Question) -> Question:
        asked = f'Does the evidence support or refute the claim "{question.question}"?'
        return replace(
            question, question=asked, choices=question.choices or LABELS, search=question.question
        )
