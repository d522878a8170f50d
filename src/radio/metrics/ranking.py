"""Ranking metrics: one ranking in, one number out, by the names of ir_measures."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence


def reciprocal_rank(relevance: Sequence[float], k: int | None = None) -> float:
    """1 / rank of the first passage with relevance > 0; 0 if there is none in the first k places
    (None: in any)."""
    return next((1 / rank for rank, value in enumerate(relevance[:k], 1) if value > 0), 0.0)


def precision_at(relevance: Sequence[float], k: int) -> float:
    """Share of the first k places that hold a relevant passage (missing places count as not
    relevant)."""
    return sum(value > 0 for value in relevance[:k]) / k


def recall_at(relevance: Sequence[float], k: int, missed: Sequence[float] = ()) -> float:
    """Share of the relevant passages that stand in the first k places; 0 if there is none."""
    total = sum(value > 0 for value in (*relevance, *missed))
    return sum(value > 0 for value in relevance[:k]) / total if total else 0.0


def ndcg_at(relevance: Sequence[float], k: int, missed: Sequence[float] = ()) -> float:
    """nDCG with linear gain and log2 discount (Jarvelin & Kekalainen, TOIS 2002); 0 if nothing is
    relevant.

    The ideal is taken over the candidates given, and over what is known to have been missed.
    """
    ideal = _dcg(sorted((*relevance, *missed), reverse=True)[:k])
    return _dcg(relevance[:k]) / ideal if ideal > 0 else 0.0


def _dcg(relevance: Sequence[float]) -> float:
    return sum(value / math.log2(rank + 1) for rank, value in enumerate(relevance, 1))


Measure = Callable[[Sequence[float], int, Sequence[float]], float]
"""Of gains in ranked order, the depth, and the gains of what was missed."""

MEASURES: dict[str, Measure] = {
    "RR": lambda relevance, k, missed: reciprocal_rank(relevance, k),
    "nDCG": ndcg_at,
    "R": recall_at,
    "P": lambda relevance, k, missed: precision_at(relevance, k),
}
"""By what stands before ``@k``."""

_SPELT = {
    "mrr": "RR",
    "rr": "RR",
    "ndcg": "nDCG",
    "recall": "R",
    "r": "R",
    "precision": "P",
    "p": "P",
}
"""Other ways to write them, in lower case."""

_DEPTH = re.compile("[1-9][0-9]*")


def ranking_metrics(
    relevance: Sequence[float], names: Sequence[str], missed: Sequence[float] = ()
) -> dict[str, float]:
    """Values of ``RR``, ``RR@k``, ``nDCG@k``, ``R@k`` and ``P@k`` by name.

    Args:
        relevance: gain of each candidate in ranked order, all candidates.
        names: what to compute, for example ``["RR@10", "nDCG@5"]``.
        missed: gains of relevant passages that are no candidates. A better retriever would have
            found them, so they count in what nDCG and recall compare with, and stand in no place.

    Raises:
        ValueError: an unknown name.
    """
    result = {}
    for name in names:
        measure, _, depth = name.partition("@")
        if name == "RR":
            result[name] = reciprocal_rank(relevance)
        elif measure in MEASURES and _DEPTH.fullmatch(depth):
            result[name] = MEASURES[measure](relevance, int(depth), missed)
        else:
            raise ValueError(_unknown(name))
    return result


def _unknown(name: str) -> str:
    """The message for a name that is none, with the one that is meant."""
    measure, at, depth = name.lower().partition("@")
    near = difflib.get_close_matches(measure, _SPELT, n=1)
    hint = ""
    if near:
        meant = _SPELT[near[0]]
        if at or meant != "RR":
            meant += f"@{depth if _DEPTH.fullmatch(depth) else 'k'}"
        hint = f"; did you mean {meant!r}?"
    return f"unknown metric {name!r}: expected RR, RR@k, nDCG@k, R@k or P@k{hint}"


def relevance_of(order: Sequence[str], gains: Mapping[str, float]) -> list[float]:
    """Gains of passages in ranked order; a passage without one counts 0."""
    return [gains.get(passage_id, 0.0) for passage_id in order]


def annotated_metrics(
    order: Sequence[str], gold: Mapping[str, float], names: Sequence[str]
) -> dict[str, float]:
    """:func:`ranking_metrics` of a ranking against the annotated passages, ``gold_`` before each
    name.

    Args:
        order: ids of all candidates, best first.
        gold: grades above 0 by id, also of passages that were not retrieved.
        names: what to compute.
    """
    missed = [grade for passage, grade in gold.items() if passage not in order]
    found = ranking_metrics(relevance_of(order, gold), names, missed)
    return {f"gold_{name}": value for name, value in found.items()}
