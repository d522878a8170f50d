"""The best rows for each query, from blocks of vectors that come one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HITS = 8192
"""Pairs of a query and a row whose products are computed again together."""

ROUNDING = 2.0**-24
"""Largest relative error of one operation in float32."""


class Best:
    """The ``k`` best rows of each query among those that it was given.

    A score is the inner product in float64, rounded to float32; of equal ones the earlier row comes
    first. So it does not depend on how the rows are cut into blocks, and equal vectors tie wherever
    they stand. A product of matrices in float32 only chooses what is computed so: all that may be
    among the best by the bound of its rounding error (Higham, Accuracy and Stability of Numerical
    Algorithms, section 3.1: ``dimensions * 2^-24 * |query| * |row|`` in whatever order it adds).

    Args:
        queries: ``[queries, dimensions]``, float32, where the products are to be computed.
        k: how many.
    """

    def __init__(self, queries: Tensor, k: int) -> None:
        self._queries = queries
        self._exact = queries.double()
        self._lengths = torch.linalg.vector_norm(queries, dim=1)
        self._k = k
        self.scores: NDArray[np.float32] = np.full((len(queries), k), -np.inf, dtype=np.float32)
        """``[queries, k]``, best first; -inf where fewer rows were given."""
        self.rows: NDArray[np.int64] = np.full((len(queries), k), -1, dtype=np.int64)
        """``[queries, k]``; -1 where fewer rows were given."""

    def take(self, block: Tensor, first: int) -> None:
        """Look at more rows.

        Args:
            block: ``[rows, dimensions]``, float32.
            first: the number of its first row, higher than all that were given before.
        """
        floor = torch.from_numpy(self.scores[:, -1]).to(block.device)
        query, row = self._promising(block, floor)
        # as many as there are where all rows are alike: some at a time
        for start in range(0, len(query), HITS):
            some = slice(start, start + HITS)
            chosen, place = query[some], row[some]
            products = self._exact[chosen] * block[place].double()
            scores = products.sum(1).float()
            # an equal score comes later than those that are there
            better = scores > floor[chosen]
            self._keep(chosen[better], scores[better], first + place[better])

    def _promising(self, block: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
        """Query and row of all pairs that may be among the best, by query and then by row."""
        with _float32_products():
            scores = self._queries @ block.T
        longest = torch.linalg.vector_norm(block, dim=1).max()
        # two more operations: the rounding of the score, and that of this bound
        error = (block.shape[1] + 2) * ROUNDING * self._lengths * longest
        least = floor - error
        crowded = len(block) > self._k
        # where nothing is known yet, all pairs would be high enough
        if crowded and not torch.isfinite(least).all():
            least = self._least(scores, error)
        query, row = _pairs(scores, least)
        if crowded and len(query) > len(scores) * self._k:
            query, row = _pairs(scores, torch.maximum(least, self._least(scores, error)))
        return query, row

    def _least(self, scores: Tensor, error: Tensor) -> Tensor:
        """The score that those of a block must have which it alone leaves room for."""
        return scores.topk(self._k).values[:, -1] - 2 * error

    def _keep(self, query: Tensor, score: Tensor, row: Tensor) -> None:
        """Put rows, those of a query side by side, among the best ones of their queries."""
        new, scores, rows = query.cpu().numpy(), score.cpu().numpy(), row.cpu().numpy()
        touched = np.unique(new)
        owners = np.concatenate([np.repeat(touched, self._k), new])
        scores = np.concatenate([self.scores[touched].ravel(), scores])
        rows = np.concatenate([self.rows[touched].ravel(), rows])
        order = np.lexsort((rows, -scores, owners))
        starts = np.searchsorted(owners[order], touched)
        # each of them has k old ones at least
        best = order[starts[:, None] + np.arange(self._k)]
        self.scores[touched], self.rows[touched] = scores[best], rows[best]


def _pairs(scores: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of all scores that are high enough for their row."""
    query, row = (scores >= least[:, None]).nonzero(as_tuple=True)
    return query, row


@contextmanager
def _float32_products() -> Iterator[None]:
    """Products of matrices in float32 and in nothing shorter, whatever the run has set."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
