"""Teachers by golden answers and annotated passages, without a language model."""

from __future__ import annotations

from collections.abc import Sequence

from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers.base import Teacher
from radio.text import findable, has_answer


class AnswerMatch(Teacher):
    """1 for a passage that contains a golden answer, else 0: supervision by the answers alone, with
    no language model.

    The honest rival of rationale distillation, which sees the same answers; also the gate of
    :class:`Gated`. Where the answer is a verdict (yes, SUPPORTS), whose word says nothing about a
    passage, all have 1: no preference, an open gate.
    """

    identity = "AnswerMatch"
    needs_rationale = False
    needs_answers = True
    version = 2

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        seen = findable(question.golden_answers)
        return [
            float(not seen or has_answer(p.contents, question.golden_answers)) for p in passages
        ]


class GoldPassages(Teacher):
    """1 for a passage that is annotated as supporting the answer (``gold_ids`` in the metadata),
    else 0.

    Where the annotation has grades, a passage scores its share of the question's highest. Plain
    supervision, for datasets of judged passages and for the warm-up of a reranker on labelled data.

    Raises:
        InputError: a question without ``gold_ids``.
    """

    identity = "GoldPassages"
    needs_rationale = False

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        if question.metadata.get("gold_ids") is None:
            raise InputError(
                f"GoldPassages: question {question.id!r}: metadata has no key 'gold_ids'"
            )
        grades = question.gold
        best = max(grades.values(), default=1.0)
        return [grades.get(p.id, 0.0) / best for p in passages]
