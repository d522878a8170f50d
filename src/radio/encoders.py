"""Text embeddings by sentence-transformers, each distinct text once, kept in the cache."""

from __future__ import annotations

import io
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.engines import Batch, Row, Work, current
from radio.fingerprints import Fingerprinted, fingerprint
from radio.models.embedding import EmbeddingModel
from radio.models.exported import exported_class
from radio.models.files import model_fingerprint
from radio.models.limits import capped, positions
from radio.models.loading import load_sentence_transformer
from radio.models.passage_side import passage_model
from radio.models.prompts import default_prefixes, model_similarity
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

WINDOW = 32_768
"""Texts that are looked up and put into order together."""


def load_encoder(name: str, device: str | None = None) -> SentenceTransformer:
    """Load a sentence-transformers model in fp32; a plain transformers folder gets mean pooling.

    Raises:
        InputError: says what is wrong with the model, for example that it is a cross-encoder, or
            has a module that is not known here (:data:`radio.models.files.MODULES`).
    """
    kind = exported_class(name)
    if kind in ("CrossEncoder", "LateInteraction", "YesNoLM"):
        raise InputError(f"model {name!r} is the export of a {kind}, expected that of a BiEncoder")
    network: SentenceTransformer = load_sentence_transformer(name, device)
    return network


class Encoder(Fingerprinted):
    """A frozen text encoder for retrieval and for the teacher.

    Args:
        model: sentence-transformers name or folder (pooling as the folder says).
        query_prefix: put before questions; None takes the folder's prompt, or E5's.
        passage_prefix: put before passages; None as above.
        max_length: tokens after which a text is cut.
        batch_size: texts encoded at a time.
        device: for example ``cuda``; None takes the best there is.
        similarity: ``cosine`` or ``dot``; None as the model says.
        precision: ``bf16`` computes products in it, with weights and embeddings kept in fp32: for
            GPUs, and processors that have instructions for it.
    """

    identity = "Encoder"

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        max_length: int = 512,
        batch_size: int = 64,
        device: str | None = None,
        similarity: Literal["cosine", "dot"] | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        check(self, locals())
        self.model = model
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.max_length = max_length
        self._batch_size = batch_size
        self._device = device
        self._similarity = similarity
        self._precision = precision
        self._loaded: EmbeddingModel | None = None

    def depends_on(self) -> dict[str, Any]:
        # where nothing else says so, the name decides about E5's prefixes
        prefixes = default_prefixes(self.model, {})
        model = model_fingerprint(self.model)
        settings = {**super().depends_on(), "model": model, "prefixes": prefixes}
        if self._precision != "fp32":
            settings["precision"] = self._precision
        return {**settings, "similarity": self.similarity}

    @property
    def similarity(self) -> Literal["cosine", "dot"]:
        """``cosine``: embeddings have unit length; ``dot``: they keep their own."""
        # no cached_property: public attributes are part of the fingerprint
        if self._similarity is None:
            self._similarity = model_similarity(self.model)
        return self._similarity

    @cached_property
    def _of_passages(self) -> Encoder:
        """What embeds passages as this does: none is embedded again for an export."""
        name = passage_model(self.model, self.max_length)
        if name == self.model:
            return self
        return Encoder(
            name,
            self.query_prefix,
            self.passage_prefix,
            self.max_length,
            self._batch_size,
            self._device,
            self.similarity,
            self._precision,
        )

    def load(self) -> EmbeddingModel:
        """The model, loaded on first use."""
        if self._loaded is None:
            network = load_encoder(self.model, self._device).eval()
            limit = network.max_seq_length
            length = min(self.max_length, limit) if limit else self.max_length
            network.max_seq_length = capped(length, positions(network), self.model)
            self._loaded = EmbeddingModel(network, self._batch_size, self._precision)
        return self._loaded

    def encode(
        self, texts: Sequence[str], cache: Cache, *, query: bool = False, title: str = "embed"
    ) -> NDArray[np.float32]:
        """Embeddings ``[len(texts), dim]`` whose inner product is the similarity.

        For ``cosine`` they have unit length.

        Only texts that the cache lacks are computed, in parts that are stored as they finish.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        if not query and self._of_passages is not self:
            return self._of_passages.encode(texts, cache, title=title)
        return np.stack(self._stored(Embedding(self, query=query), texts, cache, title))

    def fill(
        self, texts: Iterable[str], cache: Cache, *, query: bool = False, title: str = "embed"
    ) -> None:
        """Embed those that the cache lacks, and read none of them back.

        Neither the texts nor their embeddings need fit into memory: some thousands are taken at a
        time, and those are computed in the order of their length.
        """
        self.fill_each([texts], cache, query=query, title=title)

    def fill_each(
        self,
        lists: Iterable[Iterable[str]],
        cache: Cache,
        *,
        query: bool = False,
        title: str = "embed",
    ) -> None:
        """As :meth:`fill`, of several lists one after the other: an engine need not wait for the
        end of one to begin with the next."""
        if not query and self._of_passages is not self:
            self._of_passages.fill_each(lists, cache, title=title)
            return
        kind = Embedding(self, query=query)
        under_way: set[str] = set()

        def lacking() -> Iterator[dict[str, str]]:
            for texts in lists:
                left = iter(texts)
                while some := list(islice(left, WINDOW)):
                    if missing := kind.missing(some, cache, under_way):
                        under_way.update(missing)
                        yield missing

        for values in self._results(kind, lacking(), title):
            cache.put(kind.name, values)
            under_way.difference_update(values)

    def embed_each(
        self, parts: Iterable[Sequence[str]], cache: Cache, *, title: str
    ) -> Iterator[NDArray[np.float32]]:
        """Embeddings of the passages of each part ``[passages, dim]``, in order, for who keeps them
        elsewhere: the cache is read, not filled.

        A part is asked for when those before it are under way: in this process, when they have been
        taken.
        """
        if self._of_passages is not self:
            yield from self._of_passages.embed_each(parts, cache, title=title)
            return
        kind = Embedding(self)
        waiting: deque[_Part] = deque()

        def lacking() -> Iterator[dict[str, str]]:
            for texts in parts:
                keys = kind.keys(texts)
                part = _Part(keys, cache.read(keys, kind.parse))
                waiting.append(part)
                yield part.lacks(texts)

        for values in self._results(kind, lacking(), title):
            part = waiting[0]
            part.found |= {key: kind.parse(value) for key, value in values.items()}
            if len(part.found) == part.distinct:
                waiting.popleft()
                yield np.stack(self._joined(part.keys, part.found, cache))

    @property
    def of_passages(self) -> list[Any]:
        """All that the embedding of a passage depends on beside its text, JSON-like."""
        return Embedding(self._of_passages).identity

    @property
    def device(self) -> str:
        """Where to compute: what was asked for, or else a GPU where there is one."""
        import torch

        return self._device or ("cuda" if torch.cuda.is_available() else "cpu")

    def release(self) -> None:
        """Free the model; the next text that the cache lacks loads it again."""
        self._loaded = None
        if self._of_passages is not self:
            self._of_passages.release()

    def computed(self, texts: Sequence[str], *, query: bool, tokens: bool) -> list[bytes]:
        """The embeddings of texts, as the cache keeps them; nothing is looked up there."""
        model = self.load()
        prefix = self._prefix(model.network, query)
        prefixed = [prefix + text for text in texts]
        if tokens:
            return model.tokens(prefixed)
        return model.texts(prefixed, query=query, unit=self.similarity == "cosine")

    def encode_tokens(
        self, texts: Sequence[str], cache: Cache, *, title: str = "embed tokens"
    ) -> list[NDArray[np.float16]]:
        """Unit-length embeddings of passages' tokens, ``[tokens, dim]`` each, float16."""
        if self._of_passages is not self:
            return self._of_passages.encode_tokens(texts, cache, title=title)
        return self._stored(Embedding(self, tokens=True), texts, cache, title)

    def _stored(
        self, kind: Embedding, texts: Sequence[str], cache: Cache, title: str
    ) -> list[NDArray[Any]]:
        """What the cache has for each text, once what it lacks is computed."""
        keys = self._complete(kind, texts, cache, title)
        return self._joined(keys, cache.read(keys, kind.parse), cache)

    def _joined(
        self, keys: Sequence[str], stored: Mapping[str, NDArray[Any]], cache: Cache
    ) -> list[NDArray[Any]]:
        """The array of each key, all of the same width."""
        widths = Counter(array.shape[-1] for array in stored.values())
        width, _ = widths.most_common(1)[0]
        for key, array in stored.items():
            if array.shape[-1] != width:
                raise cache.damaged(
                    key, f"found {array.shape[-1]} dimensions, expected {width} as in others"
                )
        return [stored[key] for key in keys]

    def _complete(
        self, kind: Embedding, texts: Sequence[str], cache: Cache, title: str
    ) -> list[str]:
        """The key of each text, once what the cache lacks is computed, some at a time, stored as
        they finish."""
        missing = kind.missing(texts, cache)
        for values in self._results(kind, [missing] if missing else [], title):
            cache.put(kind.name, values)
        return kind.keys(texts)

    def _results(
        self, kind: Embedding, windows: Iterable[Mapping[str, str]], title: str
    ) -> Iterator[dict[str, bytes]]:
        """What the engine makes of texts by their keys: values that are of use, some at a time,
        behind a progress bar; of an empty window nothing, once."""
        from tqdm import tqdm

        size, total = self._batch_size * 8, 0

        def batches() -> Iterator[Batch]:
            nonlocal total
            for missing in windows:
                total += len(missing)
                # long texts together: little padding, and a kill loses one chunk at most
                keys = sorted(missing, key=lambda key: len(missing[key]))
                for start in range(0, max(len(keys), 1), size):
                    yield {key: {"text": missing[key]} for key in keys[start : start + size]}

        made = batches()
        first = next(made, None)
        if first is None:
            return
        with tqdm(total=total, desc=title, unit="text", leave=None) as bar:
            for rows in current().map(kind, chain([first], made)):
                values = {key: row["value"] for key, row in rows.items()}
                for value in values.values():
                    try:
                        kind.parse(value)
                    except ValueError as error:
                        raise InputError(
                            f"model {self.model!r}: an embedding is of no use: {error}"
                        ) from None
                yield values
                bar.total = total
                bar.update(len(values))

    def _prefix(self, model: SentenceTransformer, query: bool) -> str:
        chosen = self.query_prefix if query else self.passage_prefix
        of_query, of_passage = default_prefixes(self.model, model.prompts)
        if chosen is not None:
            return chosen
        return of_query if query else of_passage

    def __getstate__(self) -> dict[str, Any]:
        # another process loads the model for itself
        left = {name: value for name, value in vars(self).items() if name != "_of_passages"}
        return {**left, "_loaded": None}


class Embedding(Work):
    """The embedding of texts by an encoder; a row is a text, its result what the cache keeps.

    Args:
        encoder: which embeds.
        query: whether the texts are questions.
        tokens: whether each token has one, instead of the whole.
    """

    def __init__(self, encoder: Encoder, *, query: bool = False, tokens: bool = False) -> None:
        self._encoder = encoder
        self._query = query
        self._tokens = tokens
        self.title = f"embed with {encoder.model}"
        self.name = "token embeddings" if tokens else "embedding"

    @property
    def identity(self) -> list[Any]:
        encoder = self._encoder.fingerprint()
        if self._tokens:
            return [self.name, encoder]
        unit = self._encoder.similarity == "cosine"
        return [self.name, encoder, self._query, *([] if unit else ["dot"])]

    def keys(self, texts: Sequence[str]) -> list[str]:
        """The key of each text in the cache."""
        identity = self.identity
        return [fingerprint([*identity, text]) for text in texts]

    def missing(
        self, texts: Sequence[str], cache: Cache, under_way: Set[str] = frozenset()
    ) -> dict[str, str]:
        """The texts that the cache lacks, and that are not under way, by their keys."""
        by_key = dict(zip(self.keys(texts), texts, strict=True))
        return {key: by_key[key] for key in cache.missing(list(by_key)) if key not in under_way}

    def parse(self, value: bytes) -> NDArray[Any]:
        """What a value of the cache holds; a ValueError where that is of no use."""
        return _token_vectors(value) if self._tokens else _vector(value)

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        texts = [row["text"] for row in rows]
        values = self._encoder.computed(texts, query=self._query, tokens=self._tokens)
        return [{"value": value} for value in values]


class _Part:
    """Passages that are embedded together for who keeps them: their keys, and what is there."""

    def __init__(self, keys: list[str], found: dict[str, NDArray[Any]]) -> None:
        self.keys = keys
        self.found = found
        self.distinct = len(set(keys))

    def lacks(self, texts: Sequence[str]) -> dict[str, str]:
        pairs = zip(self.keys, texts, strict=True)
        return {key: text for key, text in pairs if key not in self.found}


def _vector(value: bytes) -> NDArray[np.float32]:
    vector = np.frombuffer(value, dtype=np.float32)
    if not vector.size or not np.isfinite(vector).all():
        raise ValueError("expected finite numbers")
    return vector


def _token_vectors(value: bytes) -> NDArray[np.float16]:
    vectors: NDArray[np.float16] = np.load(io.BytesIO(value), allow_pickle=False)
    if vectors.ndim != 2 or vectors.dtype != np.float16 or not np.isfinite(vectors).all():
        raise ValueError(
            f"found {vectors.dtype} {vectors.shape}, expected finite float16 [tokens, dimensions]"
        )
    return vectors
