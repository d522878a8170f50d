"""Teachers: one score in [0, 1] for each candidate, from which the reranker learns."""

from radio.teachers.base import (
    Lesson,
    Teacher,
    checked_scores,
    min_max,
    needs,
    teacher_key,
)
from radio.teachers.combined import Blend, Gated
from radio.teachers.listwise import Listwise
from radio.teachers.outcomes import AnswerFlip, DownstreamMetric
from radio.teachers.rerankers import RerankerTeacher
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch, GoldPassages
from radio.teachers.utility import Utility

__all__ = [
    "AnswerFlip",
    "AnswerMatch",
    "Blend",
    "DownstreamMetric",
    "Gated",
    "GoldPassages",
    "Lesson",
    "Listwise",
    "RationaleSimilarity",
    "RerankerTeacher",
    "RetrievalScore",
    "Teacher",
    "Utility",
    "checked_scores",
    "min_max",
    "needs",
    "teacher_key",
]
