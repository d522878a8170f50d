"""Distillation losses: ``loss(scores, targets, mask) -> scalar``, one family per file."""

from radio.losses.base import Loss
from radio.losses.listwise import InfoNCE, ListNet
from radio.losses.pairwise import RankNet
from radio.losses.pointwise import BinaryCrossEntropy

__all__ = ["BinaryCrossEntropy", "InfoNCE", "ListNet", "Loss", "RankNet"]
