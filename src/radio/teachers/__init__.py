"""Teachers: one score in [0, 1] for each candidate, from which the reranker learns."""

from radio.teachers.base import (
    Lesson,
    Teacher,
    check_needs,
    checked_scores,
    min_max,
    needs,
    teacher_key,
)
from radio.teachers.citations import Cited
from radio.teachers.combined import Blend, Gated
from radio.teachers.coverage import Coverage
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch, GoldPassages

__all__ = [
    "AnswerMatch",
    "Blend",
    "Cited",
    "Coverage",
    "Gated",
    "GoldPassages",
    "Lesson",
    "RationaleSimilarity",
    "RetrievalScore",
    "Teacher",
    "check_needs",
    "checked_scores",
    "min_max",
    "needs",
    "teacher_key",
]
