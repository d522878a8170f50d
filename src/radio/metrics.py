"""Answer metrics (EM, F1, answer in context), ranking metrics and the bootstrap. One question in,
one number out."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

from radio.text import UNSPACED

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (Rajpurkar et al., EMNLP 2016)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, golden_answers: Sequence[str]) -> float:
    """1 if the normalised prediction equals a golden answer; an answer that normalises to nothing
    never matches."""
    found = normalise_answer(prediction)
    return float(
        bool(found) and any(found == normalise_answer(answer) for answer in golden_answers)
    )


def f1(prediction: str, golden_answers: Sequence[str]) -> float:
    """Token F1, maximum over the golden answers. Yes, no and noanswer count only when equal
    (HotpotQA, FlashRAG)."""
    return max(
        (_f1(normalise_answer(prediction), normalise_answer(answer)) for answer in golden_answers),
        default=0.0,
    )


def _f1(found: str, golden: str) -> float:
    special = {"yes", "no", "noanswer"}
    if found != golden and (found in special or golden in special):
        return 0.0
    a, b = found.split(), golden.split()
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0


# combining marks belong to the word; the standard library's \w would split at them
_TOKEN = regex.compile(rf"[{UNSPACED}]\p{{M}}*|(?:(?![{UNSPACED}])[\p{{L}}\p{{N}}\p{{M}}])+")


def tokens(text: str) -> list[str]:
    """Unicode word tokens as DPR compares them: decomposed (NFD), lower case.

    A script without spaces gives a token for each character: an answer stands anywhere in its
    sentence.
    """
    return _TOKEN.findall(unicodedata.normalize("NFD", text).lower())


NEVER_IN_TEXT = frozenset({"yes", "no", "true", "false", "supports", "refutes", "not enough info"})
"""Answers that are a verdict: that a passage contains the word says nothing."""


def findable(golden_answers: Sequence[str]) -> bool:
    """Whether it can be seen from a passage that it holds an answer: there is one, and it is no
    verdict."""
    answers = [" ".join(tokens(answer.replace("_", " "))) for answer in golden_answers]
    return any(answer and answer not in NEVER_IN_TEXT for answer in answers)


def has_answer(contents: str, golden_answers: Sequence[str]) -> bool:
    """Whether a golden answer stands in the text as a run of tokens (DPR, Karpukhin et al., EMNLP
    2020)."""
    text = _spaced_tokens(contents)
    return any(words and f" {' '.join(words)} " in text for words in map(tokens, golden_answers))


@lru_cache(maxsize=20_000)  # each evaluation looks at the same passages
def _spaced_tokens(text: str) -> str:
    # spaces at both ends: token borders, not substrings
    return f" {' '.join(tokens(text))} "


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


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.float64],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over questions (Efron & Tibshirani, 1993).

    Pass per-question differences of two systems for a paired interval; no value gives (nan, nan).
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            data[rng.integers(0, data.size, (part, data.size))].mean(axis=1)
            for part in _parts(resamples, data.size)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _parts(resamples: int, size: int) -> list[int]:
    """Resamples in portions of about ten million draws, so that memory stays small for large test
    sets."""
    portion = max(1, min(resamples, 10_000_000 // size))
    return [min(portion, resamples - start) for start in range(0, resamples, portion)]
