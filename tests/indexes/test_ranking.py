"""The best rows from blocks: as if all had been compared at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from radio.indexes import ranking
from radio.indexes.ranking import Best
from tests.indexes.shared import brute_force


def best_of(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int, size: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What remains of blocks of so many rows."""
    best = Best(torch.from_numpy(queries), k)
    for start in range(0, len(vectors), size):
        best.take(torch.from_numpy(vectors[start : start + size]), start)
    return best.scores, best.rows


def drawn(
    rows: int, dimensions: int, *, seed: int, texts: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Seven queries and many vectors, of which only so many differ."""
    draw = np.random.default_rng(seed)
    different = draw.standard_normal((texts or rows, dimensions), dtype=np.float32)
    vectors = different[draw.permutation(rows) % len(different)]
    return draw.standard_normal((7, dimensions), dtype=np.float32), vectors


@pytest.mark.parametrize("texts", [None, 40, 1], ids=["distinct", "repeated", "all alike"])
@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("size", [1, 7, 128, 5000])
def test_the_best_of_blocks_are_those_of_all(size: int, k: int, texts: int | None) -> None:
    queries, vectors = drawn(700, 24, seed=k + size, texts=texts)
    scores, rows = best_of(queries, vectors, k, size)
    expected_scores, expected_rows = brute_force(queries, vectors, k)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(scores, expected_scores)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e4])
def test_scores_that_a_product_in_float32_confuses_are_told_apart(scale: float) -> None:
    draw = np.random.default_rng(3)
    # a large common part: the differences are lost in the rounding of a sum in float32
    common = 100 * draw.standard_normal(384, dtype=np.float32)
    vectors = np.float32(scale) * (common + 1e-3 * draw.standard_normal((900, 384))).astype("f4")
    queries = (common + draw.standard_normal((5, 384))).astype("f4")
    product = queries @ vectors.T
    _, expected = brute_force(queries, vectors, 50)
    assert (np.argsort(-product, axis=1, kind="stable")[:, :50] != expected).any()
    for size in (64, 900):
        np.testing.assert_array_equal(best_of(queries, vectors, 50, size)[1], expected)


def test_fewer_rows_than_asked_for_leave_places_empty() -> None:
    queries, vectors = drawn(3, 8, seed=0)
    scores, rows = best_of(queries, vectors, 5, 2)
    assert (rows[:, 3:] == -1).all()
    assert (scores[:, 3:] == -np.inf).all()
    np.testing.assert_array_equal(rows[:, :3], brute_force(queries, vectors, 3)[1])


def test_pairs_are_computed_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, vectors = drawn(200, 8, seed=1, texts=3)
    whole = best_of(queries, vectors, 20, 64)
    monkeypatch.setattr(ranking, "HITS", 5)
    for mine, expected in zip(best_of(queries, vectors, 20, 64), whole, strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_a_run_in_shorter_numbers_gets_the_same_ranking() -> None:
    queries, vectors = drawn(700, 64, seed=2)
    expected = best_of(queries, vectors, 10, 100)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = best_of(queries, vectors, 10, 100)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_few_products_are_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, vectors = drawn(20_000, 64, seed=4)
    kept: list[int] = []
    real = Best._keep

    def counting(self: Best, query: torch.Tensor, score: torch.Tensor, row: torch.Tensor) -> None:
        kept.append(len(query))
        real(self, query, score, row)

    monkeypatch.setattr(Best, "_keep", counting)
    best_of(queries, vectors, 10, 500)
    # k (1 + ln(blocks)) for each query, where all orders are equally likely
    assert sum(kept) < 2 * len(queries) * 10 * (1 + np.log(40))
