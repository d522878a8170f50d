"""Rerankers: Lightning modules that score passages and learn from the teacher's scores."""

from radio.rerankers.base import Reranker
from radio.rerankers.bi_encoder import BiEncoder
from radio.rerankers.cross_encoder import CrossEncoder
from radio.rerankers.late_interaction import LateInteraction
from radio.rerankers.tuning import LoRA
from radio.rerankers.yes_no import PromptShape, YesNoLM

__all__ = [
    "BiEncoder",
    "CrossEncoder",
    "LateInteraction",
    "LoRA",
    "PromptShape",
    "Reranker",
    "YesNoLM",
]
