"""Retrievers: from questions and a corpus to ranked candidates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache, Fingerprinted
from radio.encoders import Encoder
from radio.formats import read_candidates
from radio.schema import Candidate, InputError, Passage, Question


class Retriever(Fingerprinted):
    """Finds candidates. A subclass implements :meth:`search`, and :meth:`index` when it needs one."""

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        """Get ready to search these passages; called once, only when something is to be searched."""

    @abstractmethod
    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        """At most ``k`` candidates for each question, best first, in the order of ``questions``."""


def top_k(scores: NDArray[np.float32], ids: Sequence[str], k: int) -> list[Candidate]:
    """The ``k`` best of ``scores [len(ids)]``, ties by position in the corpus, so that runs repeat exactly."""
    k = min(k, len(ids))
    floor = np.partition(scores, len(ids) - k)[len(ids) - k]
    enough = np.flatnonzero(scores >= floor)
    best = enough[np.argsort(-scores[enough], kind="stable")][:k]
    return [Candidate(ids[i], rank, float(scores[i])) for rank, i in enumerate(best)]


class BM25(Retriever):
    """Lexical retrieval through ``bm25s`` (Lucene's variant) over title and text.

    A question that matches fewer than k passages is filled up with passages of score 0.

    Args:
        k1: term frequency saturation.
        b: length normalisation.
        stopwords: language code of the stop word list, or None.
    """

    def __init__(self, k1: float = 0.9, b: float = 0.4, stopwords: str | None = "en") -> None:
        self.k1 = k1
        self.b = b
        self.stopwords = stopwords
        self._index: Any = None
        self._ids: list[str] = []

    def _tokens(self, texts: list[str]) -> list[list[str]]:
        import bm25s

        tokens: list[list[str]] = bm25s.tokenize(
            texts, stopwords=self.stopwords or [], return_ids=False, show_progress=False
        )
        return tokens

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        import bm25s

        self._ids = list(passages)
        self._index = bm25s.BM25(method="lucene", k1=self.k1, b=self.b)
        self._index.index(self._tokens([p.contents for p in passages.values()]), show_progress=False)

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        for tokens in self._tokens([q.query for q in questions]):
            known = [t for t in tokens if t in self._index.vocab_dict]
            scores = self._index.get_scores(known) if known else np.zeros(len(self._ids), dtype=np.float32)
            yield top_k(scores, self._ids, k)


class Dense(Retriever):
    """Dense retrieval by cosine (published: e5-base-v2), exact by default.

    Args:
        encoder: the embedding model, with its prefixes.
        faiss: search through a faiss inner-product index (extra ``faiss``) instead of numpy; equally exact.
    """

    def __init__(self, encoder: Encoder | None = None, faiss: bool = False) -> None:
        self.encoder = encoder or Encoder()
        self._faiss = faiss
        self._ids: list[str] = []
        self._cache: Cache | None = None
        self._vectors: Any = None

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._ids, self._cache = list(passages), cache
        self._vectors = self.encoder.encode([p.contents for p in passages.values()], cache, title="embed corpus")
        if self._faiss:
            try:
                import faiss
            except ImportError:
                raise InputError("Dense(faiss=True) needs faiss: pip install 'radio-rag[faiss]'") from None
            vectors, self._vectors = self._vectors, faiss.IndexFlatIP(self._vectors.shape[1])
            self._vectors.add(vectors)

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        assert self._cache is not None, "call index() first"
        for start in range(0, len(questions), 256):
            texts = [q.query for q in questions[start : start + 256]]
            queries = self.encoder.encode(texts, self._cache, query=True, title="embed questions")
            if self._faiss:
                for scores, rows in zip(*self._vectors.search(queries, min(k, len(self._ids))), strict=True):
                    order = np.lexsort((rows, -scores))
                    yield [Candidate(self._ids[rows[i]], n, float(scores[i])) for n, i in enumerate(order)]
            else:
                for row in queries @ self._vectors.T:
                    yield top_k(row, self._ids, k)


class Precomputed(Retriever):
    """Candidates from files: TREC runs or JSONL (see :func:`radio.formats.read_candidates`), joined by question id.

    Candidates that were put in by hand come on top of the k that are asked for; the data module leaves them out.

    Args:
        paths: one file or several; a question may stand in one of them only.
    """

    def __init__(self, paths: list[str] | str) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
        self._table: dict[str, list[Candidate]] | None = None
        self._passages: dict[str, Passage] = {}

    def _read(self) -> dict[str, list[Candidate]]:
        if self._table is None:
            table: dict[str, list[Candidate]] = {}
            for path in self.paths:
                candidates, passages = read_candidates(path)
                twice = table.keys() & candidates.keys()
                if twice:
                    raise InputError(f"{path}: question id {min(twice)!r} already has candidates in another file")
                table.update(candidates)
                self._passages.update(passages)
            self._table = table
        return self._table

    def passages(self) -> dict[str, Passage]:
        """Passages whose text the files carry, so that no corpus file is needed."""
        self._read()
        return self._passages

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        table = self._read()
        for question in questions:
            if question.id not in table:
                files = ", ".join(map(str, self.paths))
                raise InputError(
                    f"{files}: no candidates for question id {question.id!r}; found {len(table)} questions"
                )
            found = table[question.id]
            last = [c.rank for c in found if not c.injected][k - 1 : k]
            yield found[: last[0] + 1] if last else found
