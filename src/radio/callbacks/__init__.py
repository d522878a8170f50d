"""Callbacks: ranking metrics, the generator in the loop, a guard against collapse, the Hugging Face
export."""

from radio.callbacks.collapse_guard import CollapseGuard
from radio.callbacks.evaluation import GeneratorInTheLoop, RankEvaluation, orders
from radio.callbacks.export import ExportHuggingFace, best_checkpoint

__all__ = [
    "CollapseGuard",
    "ExportHuggingFace",
    "GeneratorInTheLoop",
    "RankEvaluation",
    "best_checkpoint",
    "orders",
]
