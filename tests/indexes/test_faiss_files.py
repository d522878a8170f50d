"""Files of faiss; what they find through a retriever is in tests/retrievers/test_dense.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.indexes.faiss_files import FaissIndex
from radio.schema import InputError
from tests.indexes.shared import brute_force

faiss = pytest.importorskip("faiss", reason="faiss is not installed (extra faiss)")

DRAW = np.random.default_rng(0)
VECTORS = DRAW.standard_normal((60, 8), dtype=np.float32)[np.arange(200) % 60]
QUERIES = DRAW.standard_normal((5, 8), dtype=np.float32)


def written(folder: Path, kind: str, ids: Any = None) -> Path:
    index = faiss.index_factory(8, kind, faiss.METRIC_INNER_PRODUCT)
    index.train(VECTORS)
    if ids is None:
        index.add(VECTORS)
    else:
        index.add_with_ids(VECTORS, ids)
    path = folder / "some.index"
    faiss.write_index(index, str(path))
    return path


@pytest.mark.parametrize(("kind", "parameters"), [("Flat", ""), ("IVF4,Flat", "nprobe=4")])
def test_equal_scores_stand_in_the_order_of_the_corpus(
    kind: str, parameters: str, tmp_path: Path
) -> None:
    index = FaissIndex(written(tmp_path, kind), parameters)
    assert (index.passages, index.dimensions) == (200, 8)
    # each vector comes three or four times; all of those that tie are asked for
    scores, rows = index.search(QUERIES, 200)
    expected_scores, expected_rows = brute_force(QUERIES, VECTORS, 200)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)


def test_what_is_not_found_comes_last(tmp_path: Path) -> None:
    scores, rows = FaissIndex(written(tmp_path, "IVF4,Flat"), "nprobe=1").search(QUERIES, 200)
    for found, own in zip(rows, scores, strict=True):
        count = int((found >= 0).sum())
        assert 0 < count < 200
        assert (found[count:] == -1).all()
        assert (own[count:] == -np.inf).all()
        assert (np.diff(own[:count]) <= 0).all()


def test_rows_beyond_the_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "IDMap,Flat", ids=np.arange(1000, 1200))
    with pytest.raises(InputError, match=r"found row 1\d\d\d, expected positions in the corpus"):
        FaissIndex(path).search(QUERIES, 3)
