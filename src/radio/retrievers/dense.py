"""Dense retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from radio.cache import Cache
from radio.corpus import row_ids
from radio.encoders import Encoder
from radio.engines import current
from radio.indexes import FaissIndex, FlatIndex, Precision, embed_part, open_flat, open_inverted
from radio.ranges import check
from radio.retrievers.base import TOGETHER, Retriever, check_passages, listed
from radio.schema import Candidate, InputError, Passage, Question


class Dense(Retriever):
    """Dense retrieval by the encoder's similarity (published: e5-base-v2, cosine).

    The embeddings of the corpus lie on disk beside the cache and are searched there: neither they
    nor the texts need fit into memory (docs/scaling.md). ``radio index`` builds them beforehand.

    Args:
        encoder: the embedding model, with its prefixes.
        index_path: a faiss index file that was built with this encoder, such as FlashRAG's
            ``e5_Flat.index``; row n is passage n of the corpus, which is not embedded then. It is
            memory-mapped, and may be larger than memory.
        index_parameters: how thoroughly to search an approximate one, for example ``nprobe=64``
            (IVF, the default of ``kind: ivf``) or ``efSearch=256`` (HNSW).
        kind: ``flat`` compares with every passage, exactly; ``ivf`` with those alone whose lists
            lie near the question (extra ``faiss``).
        lists: of ``ivf``; None takes four times the square root of the number of passages.
        precision: of the stored numbers: ``float16``, or ``float32`` in twice the room.

    Raises:
        InputError: settings that do not go together.
    """

    identity = "Dense"

    def __init__(
        self,
        encoder: Encoder | None = None,
        index_path: str | None = None,
        index_parameters: str = "",
        kind: Literal["flat", "ivf"] = "flat",
        lists: int | None = None,
        precision: Precision = "float16",
    ) -> None:
        check(self, locals())
        if lists is not None and kind == "flat":
            raise InputError(f"Dense: lists: found {lists} with kind flat, expected kind: ivf")
        if index_path and (kind, precision) != ("flat", "float16"):
            raise InputError(
                "Dense: index_path: a prebuilt index has its own kind and precision; leave them out"
            )
        self.encoder = encoder or Encoder()
        self.index_path = Path(index_path) if index_path else None
        self.index_parameters = index_parameters
        self._kind = kind
        self._lists = lists
        self._precision: Precision = precision
        self._ids: Sequence[str] = []
        self._cache: Cache | None = None
        self._index: FlatIndex | FaissIndex | None = None

    def depends_on(self) -> dict[str, Any]:
        settings = super().depends_on()
        if self._kind == "ivf":
            settings["ivf"] = self._lists
        if self._precision != "float16":
            settings["precision"] = self._precision
        return settings

    def asked(self, question: Question) -> list[Any]:
        return [question.query]

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._ids, self._cache = row_ids(passages), cache
        if self.index_path is None:
            _, self._index = self.build(passages, cache)
            return
        self._index = FaissIndex(self.index_path, self.index_parameters)
        check_passages(self.index_path, self._index.passages, self._ids)

    def build(
        self, passages: Mapping[str, Passage], cache: Cache
    ) -> tuple[FlatIndex, FlatIndex | FaissIndex]:
        """The embeddings of a corpus on disk, and what is searched of them: they themselves, or
        inverted lists. What is there already is only opened."""
        flat = open_flat(passages, self.encoder, cache, self._precision)
        if self._kind == "flat":
            return flat, flat
        return flat, open_inverted(flat, self._lists, self.index_parameters)

    def embed_part(
        self, passages: Mapping[str, Passage], cache: Cache, part: int, parts: int
    ) -> Path:
        """One of so many parts of the embeddings, while other processes make the others."""
        return embed_part(passages, self.encoder, cache, self._precision, part, parts)

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        assert self._cache is not None, "call index() first"
        assert self._index is not None
        if current().elsewhere:
            # together: an engine begins anew each time
            parts = [questions[n : n + TOGETHER] for n in range(0, len(questions), TOGETHER)]
            asked = ([question.query for question in part] for part in parts)
            self.encoder.fill_each(asked, self._cache, query=True, title="embed questions")
        for start in range(0, len(questions), TOGETHER):
            texts = [question.query for question in questions[start : start + TOGETHER]]
            queries = self.encoder.encode(texts, self._cache, query=True, title="embed questions")
            if queries.shape[1] != self._index.dimensions:
                raise InputError(
                    f"{self._index.path}: vectors of {self._index.dimensions} dimensions, expected "
                    f"{queries.shape[1]} as of {self.encoder.model}; give the encoder that the "
                    "index was built with"
                )
            count = min(k, len(self._ids))
            scores, rows = self._index.search(queries, count, self.encoder.device)
            for own, found in zip(scores, rows, strict=True):
                # an approximate search that finds fewer gives -1
                there = found >= 0
                yield listed([self._ids[row] for row in found[there]], own[there])
