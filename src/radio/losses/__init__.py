"""Distillation losses: ``loss(scores, targets, mask) -> scalar``, one family per file."""

from radio.losses.base import Loss
from radio.losses.composed import NoisyTeacher, WeightedSum
from radio.losses.listwise import InfoNCE, JensenShannon, KLDivergence, ListMLE, ListNet, PListMLE
from radio.losses.metric import ADRMSE, ApproxNDCG, LambdaLoss, NeuralNDCG
from radio.losses.pairwise import MarginMSE, PairwiseHinge, PairwiseLogistic, RankNet
from radio.losses.pointwise import BinaryCrossEntropy, Huber, MeanSquaredError

__all__ = [
    "ADRMSE",
    "ApproxNDCG",
    "BinaryCrossEntropy",
    "Huber",
    "InfoNCE",
    "JensenShannon",
    "KLDivergence",
    "LambdaLoss",
    "ListMLE",
    "ListNet",
    "Loss",
    "MarginMSE",
    "MeanSquaredError",
    "NeuralNDCG",
    "NoisyTeacher",
    "PListMLE",
    "PairwiseHinge",
    "PairwiseLogistic",
    "RankNet",
    "WeightedSum",
]
