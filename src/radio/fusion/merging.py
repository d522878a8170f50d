"""Several rankings of one question merged into one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Literal, get_args

from radio.normalising import min_max, rank, reciprocal_rank, shares, unrounded, z_score
from radio.schema import InputError, ranked

Method = Literal["interleave", "reciprocal_rank", "min_max", "z_score", "rank"]
"""How rankings are merged; see :class:`Merge`."""

Ranking = Mapping[str, float]
"""Passage id -> score of one question, best first; each id once."""

PUBLISHED_K = 60.0
"""Of reciprocal rank fusion (Cormack et al., SIGIR 2009)."""


class Merge:
    """Makes one ranking of several.

    ``interleave`` lets the rankings take turns, the first one first: a passage stands where its
    best rank puts it, ``min_k r_k``; of equal ones that of the earlier ranking comes first. This is
    how CoRT is merged with BM25 (Wrzalik and Krechel, NAACL 2021).

    All others are weighted sums, ``sum_k w_k n_k(p)``, of what each ranking makes of a passage:

    - ``reciprocal_rank``: ``1 / (k + r)``, r the 1-based rank (Cormack et al., SIGIR 2009);
    - ``min_max``: from 0 for its worst to 1 for its best;
    - ``rank``: the same by rank, whatever the distances;
    - ``z_score``: the distance from its mean, in standard deviations.

    Equal scores of a ranking share the mean of their ranks, except in ``interleave``, which takes
    the ranking as it stands. What a ranking lacks counts 0 there, and with ``z_score`` as much as
    its worst. Equal sums are ordered by id, whichever ranking they come from, so that the order of
    the rankings does not matter. Rankings may differ in length, and may be empty.

    Args:
        method: see above.
        weights: of the rankings, which sum to 1; None weighs all alike.
        k: of ``reciprocal_rank``: how little the first ranks stand out, 0 or more.
    """

    def __init__(
        self, method: Method, weights: Sequence[float] | None = None, k: float | None = None
    ) -> None:
        self.method = method
        self.weights = weights
        self.k = PUBLISHED_K if k is None else k

    def __call__(self, rankings: Sequence[Ranking], others: Iterable[str] = ()) -> dict[str, float]:
        """The merged ranking of one question, best first.

        The scores are sums, or with ``interleave`` how many places a passage is above the end.

        Args:
            rankings: as many as there are weights.
            others: ids that are to be ranked though no ranking has them.
        """
        if self.method == "interleave":
            return _interleaved(rankings, others)
        ids, columns = self.columns(rankings, others)
        weights = self.weights or [1 / len(rankings)] * len(rankings)
        sums = []
        for values in zip(*columns, strict=True):
            sums.append(
                math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
            )
        merged = ranked(dict(zip(ids, unrounded(sums), strict=True)))
        return {candidate.passage_id: candidate.score for candidate in merged}

    def columns(
        self, rankings: Sequence[Ranking], others: Iterable[str] = ()
    ) -> tuple[list[str], list[list[float]]]:
        """What is summed: all ids, sorted, and for each ranking the value of each of them."""
        ids = sorted({passage for ranking in rankings for passage in ranking} | set(others))
        columns = []
        for ranking in rankings:
            values = dict(zip(ranking, self._normalised(list(ranking.values())), strict=True))
            lowest = min(values.values(), default=0.0) if self.method == "z_score" else 0.0
            columns.append([values.get(passage, lowest) for passage in ids])
        return ids, columns

    def _normalised(self, scores: list[float]) -> list[float]:
        if self.method == "reciprocal_rank":
            return reciprocal_rank(scores, self.k)
        plain = {"min_max": min_max, "rank": rank, "z_score": z_score}
        return plain[self.method](scores)


def _interleaved(rankings: Sequence[Ranking], others: Iterable[str]) -> dict[str, float]:
    order: dict[str, None] = {}
    for turn in zip_longest(*rankings):
        # None where a ranking has ended
        order |= dict.fromkeys(passage for passage in turn if passage is not None)
    order |= dict.fromkeys(name for name in sorted(others) if name not in order)
    return {passage: float(len(order) - place) for place, passage in enumerate(order)}


LEARNT: Literal["learnt"] = "learnt"
"""Weights that are chosen on the training questions."""

Weights = float | list[float] | Literal["learnt"] | None
"""As a setting: one for each ranking, the share of the first of two, or :data:`LEARNT`."""


def checked_weights(
    part: object, method: Method, weights: Weights, k: float | None, count: int, of: str
) -> list[float] | Literal["learnt"] | None:
    """The settings of a merge, checked: the weights as shares that sum to 1.

    Args:
        part: whose settings they are, for messages.
        method: of the merge.
        weights: None is equal ones.
        k: of ``reciprocal_rank`` alone.
        count: of the rankings.
        of: what makes one, for messages.

    Returns:
        None where the method takes no weights.

    Raises:
        InputError: a method that there is not; weights or k with a method that takes none.
    """
    name = type(part).__name__
    if method not in get_args(Method):
        known = ", ".join(get_args(Method))
        raise InputError(f"{name}: method: found {method!r}, expected one of {known}")
    if k is not None and method != "reciprocal_rank":
        raise InputError(
            f"{name}: k: found {k} with method {method!r}, which takes none; leave it out (null), "
            "or write method: reciprocal_rank"
        )
    if method == "interleave":
        if weights is not None:
            raise InputError(
                f"{name}: weights: found {weights} with method 'interleave', which takes none: the "
                "rankings take turns; leave them out (null), or take another method"
            )
        return None
    if isinstance(weights, str):
        if weights != LEARNT:
            raise InputError(
                f"{name}: weights: found {weights!r}, expected numbers, {LEARNT!r} or null"
            )
        return LEARNT
    return shares(name, weights, count, of)
