"""Indexes in a file of faiss, built here or elsewhere, memory-mapped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.schema import InputError


class FaissIndex:
    """Search through a faiss file; row n is passage n of the corpus.

    Args:
        path: the file.
        parameters: how thoroughly to search an approximate one, for example ``nprobe=64``.
        lists_beside: the lists are in another file of the same folder.

    Raises:
        InputError: no faiss, no such file, a damaged one, one by distance, or parameters that it
            does not have.
    """

    def __init__(self, path: Path, parameters: str = "", *, lists_beside: bool = False) -> None:
        self.path = path
        faiss = import_faiss()
        if not path.is_file():
            raise InputError(f"{path}: no such file (relative paths start at {Path.cwd()})")
        # IO_FLAG_MMAP would map IVF lists alone and read a flat index into memory
        place = faiss.IO_FLAG_ONDISK_SAME_DIR if lists_beside else faiss.IO_FLAG_MMAP_IFC
        try:
            self._index: Any = faiss.read_index(str(path), place | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise InputError(
                f"{path}: not a faiss index, or a damaged one ({_reason(error)}); copy it again, "
                "or build it again"
            ) from None
        if self._index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise InputError(
                f"{path}: an index by distance, expected one by inner product "
                "(METRIC_INNER_PRODUCT)"
            )
        try:
            faiss.ParameterSpace().set_index_parameters(self._index, parameters)
        except RuntimeError as error:
            raise InputError(
                f"{path}: index_parameters {parameters!r} do not fit its "
                f"{type(self._index).__name__} ({_reason(error)})"
            ) from None

    @property
    def passages(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def search(
        self, queries: NDArray[np.float32], k: int, device: str = "cpu"
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and rows ``[queries, k]``, best first; equal scores in the order of the corpus.

        Where an approximate search finds fewer, the row is -1. It runs on CPUs.

        Raises:
            InputError: the file numbers its vectors in another way.
        """
        scores, rows = self._index.search(queries, k)
        # what was not found comes last
        scores[rows < 0] = -np.inf
        order = np.lexsort((rows, -scores))
        scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        if rows.max(initial=-1) >= self.passages:
            raise InputError(
                f"{self.path}: found row {rows.max()}, expected positions in the corpus, from 0"
            )
        return scores, rows


def import_faiss() -> Any:
    """The library.

    Raises:
        InputError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise InputError(
            "Dense(kind='ivf') and Dense(index_path=...) need faiss: pip install 'radio-rag[faiss]'"
        ) from None
    return faiss


def _reason(error: RuntimeError) -> str:
    """What faiss says, without the C++ function that says it."""
    return re.sub(r"^Error in .* at \S+:\d+: ", "", str(error))
