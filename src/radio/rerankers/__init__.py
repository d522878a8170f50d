"""Rerankers: Lightning modules that score the passages of a question and learn from the teacher's scores."""

from radio.rerankers.base import Reranker
from radio.rerankers.bi_encoder import BiEncoder
from radio.rerankers.cross_encoder import CrossEncoder

__all__ = ["BiEncoder", "CrossEncoder", "Reranker"]
