"""Dense retrieval."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.corpus import row_ids
from radio.encoders import Encoder
from radio.retrievers.base import Retriever, check_passages, top_k
from radio.schema import Candidate, InputError, Passage, Question


class Dense(Retriever):
    """Dense retrieval by the encoder's similarity, exact (published: e5-base-v2, cosine).

    Args:
        encoder: the embedding model, with its prefixes.
        faiss: search through a faiss inner-product index (extra ``faiss``) instead of numpy;
            equally exact.
        index_path: a faiss index file that was built with this encoder, such as FlashRAG's
            ``e5_Flat.index``; row n is passage n of the corpus, which is not embedded then. It is
            memory-mapped, and may be larger than memory.
        index_parameters: how thoroughly to search an approximate one, for example ``nprobe=64``
            (IVF) or ``efSearch=256`` (HNSW).
    """

    identity = "Dense"

    def __init__(
        self,
        encoder: Encoder | None = None,
        faiss: bool = False,
        index_path: str | None = None,
        index_parameters: str = "",
    ) -> None:
        self.encoder = encoder or Encoder()
        self.index_path = Path(index_path) if index_path else None
        self.index_parameters = index_parameters
        self._faiss = faiss or index_path is not None
        self._ids: Sequence[str] = []
        self._cache: Cache | None = None
        self._vectors: Any = None

    def asked(self, question: Question) -> list[Any]:
        return [question.query]

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._ids, self._cache = row_ids(passages), cache
        if self.index_path:
            self._vectors = self._load(self.index_path)
            return
        self._vectors = self.encoder.encode(
            [p.contents for p in passages.values()], cache, title="embed corpus"
        )
        if self._faiss:
            index = _import_faiss().IndexFlatIP(self._vectors.shape[1])
            index.add(self._vectors)
            self._vectors = index

    def _load(self, path: Path) -> Any:
        faiss = _import_faiss()
        if not path.is_file():
            raise InputError(f"{path}: no such file (relative paths start at {Path.cwd()})")
        try:
            # IO_FLAG_MMAP would map IVF lists alone and read a flat index into memory
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise InputError(
                f"{path}: not a faiss index, or a damaged one ({_reason(error)}); copy it again, "
                "or build it again"
            ) from None
        check_passages(path, index.ntotal, self._ids)
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise InputError(
                f"{path}: an index by distance, expected one by inner product "
                "(METRIC_INNER_PRODUCT)"
            )
        try:
            faiss.ParameterSpace().set_index_parameters(index, self.index_parameters)
        except RuntimeError as error:
            raise InputError(
                f"{path}: index_parameters {self.index_parameters!r} do not fit its "
                f"{type(index).__name__} ({_reason(error)})"
            ) from None
        return index

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        assert self._cache is not None, "call index() first"
        # a flat index is read from disk once for each batch
        size = 4096 if self.index_path else 256
        for start in range(0, len(questions), size):
            texts = [q.query for q in questions[start : start + size]]
            queries = self.encoder.encode(texts, self._cache, query=True, title="embed questions")
            if self._faiss:
                yield from self._search_faiss(queries, min(k, len(self._ids)))
            else:
                for scores in queries @ self._vectors.T:
                    yield top_k(scores, self._ids, k)

    def _search_faiss(self, queries: NDArray[np.float32], k: int) -> Iterator[list[Candidate]]:
        if queries.shape[1] != self._vectors.d:
            raise InputError(
                f"{self.index_path}: vectors of {self._vectors.d} dimensions, expected "
                f"{queries.shape[1]} as of {self.encoder.model}; give the encoder that the index "
                "was built with"
            )
        for scores, rows in zip(*self._vectors.search(queries, k), strict=True):
            if rows.max() >= len(self._ids):
                raise InputError(
                    f"{self.index_path}: found row {rows.max()}, expected positions in the corpus, "
                    "from 0"
                )
            # an approximate search that finds fewer gives -1
            order = [place for place in np.lexsort((rows, -scores)) if rows[place] >= 0]
            yield [
                Candidate(self._ids[int(rows[place])], rank, float(scores[place]))
                for rank, place in enumerate(order)
            ]


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise InputError(
            "Dense(faiss=True) and Dense(index_path=...) need faiss: pip install 'radio-rag[faiss]'"
        ) from None
    return faiss


def _reason(error: RuntimeError) -> str:
    """What faiss says, without the C++ function that says it."""
    return re.sub(r"^Error in .* at \S+:\d+: ", "", str(error))
