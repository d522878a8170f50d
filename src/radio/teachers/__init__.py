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
from radio.teachers.leave_one_out import LeaveOneOut
from radio.teachers.likelihoods import AnswerLikelihood, LikelihoodGain, PerplexityDistillation
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch, GoldPassages

__all__ = [
    "AnswerLikelihood",
    "AnswerMatch",
    "Blend",
    "Gated",
    "GoldPassages",
    "LeaveOneOut",
    "Lesson",
    "LikelihoodGain",
    "PerplexityDistillation",
    "RationaleSimilarity",
    "RetrievalScore",
    "Teacher",
    "checked_scores",
    "min_max",
    "needs",
    "teacher_key",
]
