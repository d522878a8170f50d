"""Answer metrics (EM, F1, answer in context), ranking metrics and the bootstrap. One question in,
one number out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence


def reciprocal_rank(relevance: Sequence[float]) -> float:
    """1 / rank of the first passage with relevance > 0; 0 if there is none."""
    return next((1 / rank for rank, value in enumerate(relevance, 1) if value > 0), 0.0)


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


_MEASURES: dict[str, Callable[[Sequence[float], int, Sequence[float]], float]] = {
    "ndcg": ndcg_at,
    "recall": recall_at,
    "precision": lambda relevance, k, missed: precision_at(relevance, k),
}


def ranking_metrics(
    relevance: Sequence[float], names: Sequence[str], missed: Sequence[float] = ()
) -> dict[str, float]:
    """Values of ``mrr``, ``ndcg@k``, ``recall@k`` and ``precision@k`` by name.

    Args:
        relevance: gain of each candidate in ranked order, all candidates.
        names: what to compute, for example ``["mrr", "ndcg@5"]``.
        missed: gains of relevant passages that are no candidates. A better retriever would have
            found them, so they count in what nDCG and recall compare with, and stand in no place.

    Raises:
        ValueError: an unknown name.
    """
    result = {}
    for name in names:
        measure, at, depth = name.partition("@")
        if name == "mrr":
            result[name] = reciprocal_rank(relevance)
        elif measure in _MEASURES and at and depth.isdigit() and int(depth) > 0:
            result[name] = _MEASURES[measure](relevance, int(depth), missed)
        else:
            raise ValueError(
                f"unknown metric {name!r}: expected mrr, ndcg@k, recall@k or precision@k"
            )
    return result


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
