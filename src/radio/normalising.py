"""Scores of one question on a common scale: what makes scores of different units comparable.

Each function takes the finite scores of one question's candidates, of any size and sign, and gives
a number for each in their order. Equal scores stay equal, a permutation of the candidates permutes
the numbers, and no candidate gives none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from radio.schema import InputError

Normalisation = Literal["min_max", "z_score", "rank", "reciprocal_rank", "softmax", "entropy"]
"""Names of what :class:`radio.teachers.Blend` may be told to do."""

ROUNDING = 12
"""Decimals of the largest weighted sum beyond which two sums differ by rounding alone."""

COLDEST, HOTTEST = math.log(1e-20), math.log(1e6)
"""Logarithms of the temperatures between which that of an entropy is looked for, of scores in
[0, 1]: two floats there are 1e-16 apart, or none."""


def min_max(scores: Sequence[float]) -> list[float]:
    """``(s - min) / (max - min)``: from 1 for the best to 0 for the worst.

    Equal scores, or a single one, carry no preference and become 0.5.
    """
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if high <= low:
        return [0.5] * len(scores)
    if math.isinf(high - low):
        # the difference of two numbers of the largest size is none
        return min_max([score / 2 for score in scores])
    return [(score - low) / (high - low) for score in scores]


def z_score(scores: Sequence[float]) -> list[float]:
    """``(s - mean) / deviation``, the deviation over all candidates (divided by n, not n - 1).

    Unbounded, about 0; equal scores, or a single one, become 0.
    """
    # neither a shift nor a scale changes it, and squares of the largest numbers would be infinite
    unit = min_max(scores)
    if len(set(unit)) < 2:
        return [0.0] * len(scores)
    mean = math.fsum(unit) / len(unit)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in unit) / len(unit))
    return [(value - mean) / deviation for value in unit]


def rank(scores: Sequence[float]) -> list[float]:
    """``1 - (r - 1) / (n - 1)``, r the 1-based rank: from 1 for the best to 0 for the worst.

    Equal scores share the mean of their ranks; all equal, or a single one, become 0.5.
    """
    if len(scores) < 2:
        return [0.5] * len(scores)
    return [1 - (place - 1) / (len(scores) - 1) for place in mean_ranks(scores)]


def reciprocal_rank(scores: Sequence[float], k: float = 60.0) -> list[float]:
    """``1 / (k + r)``, r the 1-based rank, of reciprocal rank fusion (Cormack et al., SIGIR 2009).

    In (0, 1 / (k + 1)]. Equal scores share the mean of their ranks.

    Args:
        scores: of the candidates.
        k: how little the first ranks stand out, 0 or more (published: 60).
    """
    return [1 / (k + place) for place in mean_ranks(scores)]


def softmax(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """``exp(s / T) / sum exp(s / T)``: a distribution over the candidates.

    Equal scores give the uniform one, a single score 1.

    Args:
        scores: of the candidates, in the unit that the temperature is meant for.
        temperature: T > 0; lower is more peaked.
    """
    best = max(scores, default=0.0)
    powers = [math.exp((score - best) / temperature) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]


def softmax_of_entropy(scores: Sequence[float], share: float) -> list[float]:
    """The softmax whose entropy is a given share of the largest, ``log n``.

    Its temperature is found by bisection for each question, so that neither a shift nor a scale of
    the scores changes it, and no question is peaked where another is flat. Equal scores give the
    uniform distribution, whatever the share. The entropy of m candidates that share the best score
    can not fall below ``log m``: a lower one gives the uniform distribution over these.

    Args:
        scores: of the candidates.
        share: of ``log n``, between 0 (the best alone) and 1 (all alike).
    """
    unit = min_max(scores)
    if len(set(unit)) < 2:
        return softmax(unit)
    wanted = share * math.log(len(unit))
    low, high = COLDEST, HOTTEST
    for _ in range(60):
        middle = (low + high) / 2
        if _entropy_at(unit, math.exp(middle)) < wanted:
            low = middle
        else:
            high = middle
    return softmax(unit, math.exp((low + high) / 2))


def _entropy_at(unit: Sequence[float], temperature: float) -> float:
    """Entropy, in nats, of the softmax of scores of which the best is 1."""
    # log Z + mean of the gaps, without a logarithm for each
    gaps = [(1 - value) / temperature for value in unit]
    powers = [math.exp(-gap) for gap in gaps]
    total = math.fsum(powers)
    pulled = math.fsum(gap * power for gap, power in zip(gaps, powers, strict=True))
    return math.log(total) + pulled / total


def entropy(distribution: Sequence[float]) -> float:
    """``-sum p log p`` in nats, from 0 to ``log n``; a probability of 0 adds nothing."""
    return -math.fsum(p * math.log(p) for p in distribution if p > 0)


def mean_ranks(scores: Sequence[float]) -> list[float]:
    """1-based ranks, the highest score first; equal scores share the mean of their ranks."""
    order = sorted(scores, reverse=True)
    first: dict[float, int] = {}
    for place, score in enumerate(order, 1):
        first.setdefault(score, place)
    last = {score: place for place, score in enumerate(order, 1)}
    return [(first[score] + last[score]) / 2 for score in scores]


def rescaled(sums: Sequence[float]) -> list[float]:
    """:func:`min_max` of weighted sums, whose differences by rounding are none."""
    largest = max(map(abs, sums), default=0.0)
    if largest == 0:
        return min_max(sums)
    return min_max([round(value / largest, ROUNDING) for value in sums])


def normaliser(name: Normalisation, setting: float) -> Callable[[Sequence[float]], list[float]]:
    """What a name stands for.

    Args:
        name: of the normalisation.
        setting: its temperature, share of the entropy or k; of no meaning to the others.
    """
    if name == "softmax":
        return lambda scores: softmax(scores, setting)
    if name == "entropy":
        return lambda scores: softmax_of_entropy(scores, setting)
    if name == "reciprocal_rank":
        return lambda scores: reciprocal_rank(scores, setting)
    plain = {"min_max": min_max, "z_score": z_score, "rank": rank}
    return plain[name]


def unrounded(sums: Sequence[float]) -> list[float]:
    """Weighted sums, of which those that differ by rounding alone are made equal."""
    largest = max(map(abs, sums), default=0.0)
    if largest == 0:
        return list(sums)
    return [round(value / largest, ROUNDING) * largest for value in sums]


def shares(part: str, weights: float | Sequence[float] | None, count: int, of: str) -> list[float]:
    """The share of each of so many parts of a weighted sum; they sum to 1.

    Args:
        part: the class whose setting ``weights`` is, for messages.
        weights: one for each part, 0 or more; a number alone is the share of the first of two, in
            [0, 1]; None weighs all alike.
        count: how many parts there are.
        of: what one of them is called.

    Raises:
        InputError: weights of another number of parts, or all 0.
    """
    if weights is None:
        return [1 / count] * count
    if not isinstance(weights, Sequence):
        if count != 2:
            raise InputError(
                f"{part}: weights: found {weights} for {count} {of}s, expected a list of {count} "
                "numbers: a number alone is the share of the first of two"
            )
        if weights > 1:
            raise InputError(
                f"{part}: weights: found {weights}, expected the share of the first {of}, "
                "between 0 and 1, or a list of 2 numbers"
            )
        return [float(weights), 1 - float(weights)]
    if len(weights) != count:
        raise InputError(
            f"{part}: weights: found {len(weights)} of them for {count} {of}s, expected one for "
            "each"
        )
    total = math.fsum(weights)
    if not total:
        raise InputError(f"{part}: weights: found 0 for every {of}, expected one above 0")
    parts = [weight / total for weight in weights]
    # of two, the first says all: as with a number alone
    return shares(part, parts[0], 2, of) if count == 2 else parts
