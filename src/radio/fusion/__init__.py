"""Several rankings of one question merged into one, and the weights of such a merge learnt."""

from radio.fusion.learning import Judged, Learnt, gains_of, learn, spread
from radio.fusion.merging import Merge, Method, Ranking

__all__ = [
    "Judged",
    "Learnt",
    "Merge",
    "Method",
    "Ranking",
    "gains_of",
    "learn",
    "spread",
]
