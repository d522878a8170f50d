"""Retrievers: the candidates of a question."""

from radio.retrievers.base import Retriever
from radio.retrievers.bm25 import BM25
from radio.retrievers.dense import Dense
from radio.retrievers.hybrid import Hybrid
from radio.retrievers.precomputed import Precomputed

__all__ = ["BM25", "Dense", "Hybrid", "Precomputed", "Retriever"]
