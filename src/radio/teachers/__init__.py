"""Teachers: one score in [0, 1] for each candidate, from which the reranker learns, and how far
each is trusted."""

from radio.teachers.base import (
    Lesson,
    Teacher,
    check_needs,
    checked_scores,
    needs,
    teacher_key,
    with_parts,
)
from radio.teachers.citations import Cited
from radio.teachers.combined import Blend, Gated
from radio.teachers.confidence import Agreement, Confidence, Entropy, Gain, Margin
from radio.teachers.coverage import Coverage
from radio.teachers.leave_one_out import LeaveOneOut
from radio.teachers.likelihoods import AnswerLikelihood, LikelihoodGain, PerplexityDistillation
from radio.teachers.listwise import Listwise
from radio.teachers.outcomes import AnswerFlip, DownstreamMetric
from radio.teachers.rerankers import RerankerTeacher
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch, GoldPassages
from radio.teachers.utility import Utility

__all__ = [
    "Agreement",
    "AnswerFlip",
    "AnswerLikelihood",
    "AnswerMatch",
    "Blend",
    "Cited",
    "Confidence",
    "Coverage",
    "DownstreamMetric",
    "Entropy",
    "Gain",
    "Gated",
    "GoldPassages",
    "LeaveOneOut",
    "Lesson",
    "LikelihoodGain",
    "Listwise",
    "Margin",
    "PerplexityDistillation",
    "RationaleSimilarity",
    "RerankerTeacher",
    "RetrievalScore",
    "Teacher",
    "Utility",
    "check_needs",
    "checked_scores",
    "needs",
    "teacher_key",
    "with_parts",
]
