"""Teachers: one score in [0, 1] for each candidate, from which the reranker learns."""

from radio.teachers.base import (
    Lesson,
    Teacher,
    checked_scores,
    needs,
    teacher_key,
)
from radio.teachers.combined import Blend, Gated
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch, GoldPassages

__all__ = [
    "AnswerMatch",
    "Blend",
    "Gated",
    "GoldPassages",
    "Lesson",
    "RationaleSimilarity",
    "RetrievalScore",
    "Teacher",
    "checked_scores",
    "needs",
    "teacher_key",
]
