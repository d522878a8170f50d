"""Callbacks: ranking metrics, the generator in the loop, merged rankings, a guard against collapse,
the Hugging Face export."""

from radio.callbacks.collapse_guard import CollapseGuard
from radio.callbacks.evaluation import RankEvaluation
from radio.callbacks.export import ExportHuggingFace, best_checkpoint
from radio.callbacks.fused import Fused
from radio.callbacks.generator import GeneratorInTheLoop
from radio.callbacks.rankings import Rankings, rankings_of

__all__ = [
    "CollapseGuard",
    "ExportHuggingFace",
    "Fused",
    "GeneratorInTheLoop",
    "RankEvaluation",
    "Rankings",
    "best_checkpoint",
    "rankings_of",
]
