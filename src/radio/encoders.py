"""Text embeddings by sentence-transformers, each distinct text once, kept in the cache."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.models.exported import exported_class
from radio.models.files import model_fingerprint
from radio.models.limits import capped, positions
from radio.models.loading import load_sentence_transformer
from radio.models.passage_side import passage_model
from radio.models.prompts import default_prefixes, model_similarity
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


T = TypeVar("T", bound=np.generic)

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
        self._loaded: SentenceTransformer | None = None
        self._packed = False

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

    def load(self) -> SentenceTransformer:
        """The model, loaded on first use."""
        if self._loaded is None:
            self._loaded = load_encoder(self.model, self._device).eval()
            limit = self._loaded.max_seq_length
            length = min(self.max_length, limit) if limit else self.max_length
            self._loaded.max_seq_length = capped(length, positions(self._loaded), self.model)
            self._packed = _takes_packed(self._loaded, self._precision)
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
        return np.stack(self._stored(self._texts(query), texts, cache, title))

    def fill(
        self, texts: Iterable[str], cache: Cache, *, query: bool = False, title: str = "embed"
    ) -> None:
        """Embed those that the cache lacks, and read none of them back.

        Neither the texts nor their embeddings need fit into memory: some thousands are taken at a
        time, and those are computed in the order of their length.
        """
        if not query and self._of_passages is not self:
            self._of_passages.fill(texts, cache, title=title)
            return
        kind, left = self._texts(query), iter(texts)
        while some := list(islice(left, WINDOW)):
            self._complete(kind, some, cache, title)

    def embed(self, texts: Sequence[str], cache: Cache, *, title: str) -> NDArray[np.float32]:
        """Embeddings of passages for who keeps them elsewhere: the cache is read, not filled."""
        if self._of_passages is not self:
            return self._of_passages.embed(texts, cache, title=title)
        kind = self._texts(query=False)
        keys = [fingerprint([*kind.identity, text]) for text in texts]
        found = cache.read(keys, kind.parse)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        for part in self._computed(kind, missing, title):
            found.update({key: kind.parse(value) for key, value in part.items()})
        return np.stack(self._joined(keys, found, cache))

    @property
    def of_passages(self) -> list[Any]:
        """All that the embedding of a passage depends on beside its text, JSON-like."""
        return self._of_passages._texts(query=False).identity

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

    def _texts(self, query: bool) -> _Kind[np.float32]:
        """Embeddings of whole texts."""
        unit = self.similarity == "cosine"

        def compute(model: SentenceTransformer, chunk: list[str]) -> list[bytes]:
            if self._packed:
                import torch
                from torch.nn.functional import normalize

                found = torch.cat([some for some, _ in self._without_padding(model, chunk)])
                vectors = (normalize(found, dim=1) if unit else found).cpu().numpy()
            else:
                # a folder may hold one model for questions and one for passages
                encode = model.encode_query if query else model.encode_document
                with self._autocast(model):
                    vectors = encode(chunk, **self._options(), normalize_embeddings=unit)
            return [np.asarray(vector, dtype=np.float32).tobytes() for vector in vectors]

        identity = ["embedding", self.fingerprint(), query, *([] if unit else ["dot"])]
        return _Kind("embedding", identity, compute, _vector, query)

    def encode_tokens(
        self, texts: Sequence[str], cache: Cache, *, title: str = "embed tokens"
    ) -> list[NDArray[np.float16]]:
        """Unit-length embeddings of passages' tokens, ``[tokens, dim]`` each, float16."""
        if self._of_passages is not self:
            return self._of_passages.encode_tokens(texts, cache, title=title)

        def compute(model: SentenceTransformer, chunk: list[str]) -> list[bytes]:
            import torch
            from torch.nn.functional import normalize

            if self._packed:
                batches = [some for _, some in self._without_padding(model, chunk)]
            else:
                options = {**self._options(), "output_value": "token_embeddings"}
                with self._autocast(model):
                    batches = [model.encode_document(chunk, **options)]
            values = []
            for embeddings in batches:
                unit = normalize(torch.cat(embeddings).float(), dim=1).half().cpu()
                sizes = [len(tokens) for tokens in embeddings]
                values += [_to_bytes(tokens.numpy()) for tokens in torch.split(unit, sizes)]
            return values

        name = "token embeddings"
        kind = _Kind(name, [name, self.fingerprint()], compute, _token_vectors)
        return self._stored(kind, texts, cache, title)

    def _without_padding(
        self, model: Any, texts: Sequence[str]
    ) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
        """Of some texts after the other: embeddings, fp32 ``[N, dim]``, and those of the tokens of
        each, ``[tokens, hidden]``; those of ``encode`` of sentence-transformers, up to rounding.

        Nothing waits for a GPU: texts become tokens while it computes those before them.
        """
        import torch

        from radio.models.packing import sentence_embeddings, unpad

        for start in range(0, len(texts), self._batch_size):
            row = unpad(model.preprocess(list(texts[start : start + self._batch_size])))
            order = row["where"].tolist()
            for name, value in row.items():
                if name != "lengths":
                    row[name] = _moved(value, model.device)
            with torch.inference_mode(), self._autocast(model):
                vectors, tokens_of = sentence_embeddings(model, row)
            found = vectors[row["where"], : model.truncate_dim].float()
            yield found, [tokens_of[place] for place in order]

    def _autocast(self, model: Any) -> AbstractContextManager[object]:
        import torch

        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(model.device.type, torch.bfloat16)

    def _options(self) -> dict[str, Any]:
        return {"prompt": "", "batch_size": self._batch_size, "show_progress_bar": False}

    def _stored(
        self, kind: _Kind[T], texts: Sequence[str], cache: Cache, title: str
    ) -> list[NDArray[T]]:
        """What the cache has for each text, once what it lacks is computed."""
        keys = self._complete(kind, texts, cache, title)
        return self._joined(keys, cache.read(keys, kind.parse), cache)

    def _joined(
        self, keys: Sequence[str], stored: Mapping[str, NDArray[T]], cache: Cache
    ) -> list[NDArray[T]]:
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
        self, kind: _Kind[T], texts: Sequence[str], cache: Cache, title: str
    ) -> list[str]:
        """The key of each text, once what the cache lacks is computed."""
        keys = [fingerprint([*kind.identity, text]) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        missing = {key: by_key[key] for key in cache.missing(keys)}
        self._fill(kind, missing, cache, title)
        return keys

    def _fill(self, kind: _Kind[T], missing: Mapping[str, str], cache: Cache, title: str) -> None:
        """Compute texts that the cache lacks, by key; some at a time, stored as they finish."""
        for values in self._computed(kind, missing, title):
            cache.put(kind.name, values)

    def _computed(
        self, kind: _Kind[T], missing: Mapping[str, str], title: str
    ) -> Iterator[dict[str, bytes]]:
        """Values of texts by their keys, some at a time."""
        from tqdm import tqdm

        if not missing:
            return
        model = self.load()
        prefix = self._prefix(model, kind.query)
        # long texts together: little padding, and a kill loses one chunk at most
        keys = sorted(missing, key=lambda key: len(missing[key]))
        size = self._batch_size * 8
        with tqdm(total=len(keys), desc=title, unit="text", leave=None) as bar:
            for start in range(0, len(keys), size):
                chunk = keys[start : start + size]
                values = kind.compute(model, [prefix + missing[key] for key in chunk])
                for value in values:
                    try:
                        kind.parse(value)
                    except ValueError as error:
                        raise InputError(
                            f"model {self.model!r}: an embedding is of no use: {error}"
                        ) from None
                yield dict(zip(chunk, values, strict=True))
                bar.update(len(chunk))

    def _prefix(self, model: SentenceTransformer, query: bool) -> str:
        chosen = self.query_prefix if query else self.passage_prefix
        of_query, of_passage = default_prefixes(self.model, model.prompts)
        if chosen is not None:
            return chosen
        return of_query if query else of_passage


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On the device, without waiting for what it computes."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _takes_packed(network: Any, precision: str) -> bool:
    """Whether texts can go through it without padding: BERT-like models, one for all texts. In fp32
    not on a GPU, which has no attention without padding for it."""
    from radio.models.packing import enable

    body = getattr(network[0], "auto_model", None)
    pays = network.device.type == "cpu" or precision != "fp32"
    return pays and enable(body, first_token_only=False)


@dataclass(frozen=True)
class _Kind(Generic[T]):
    """A kind of embeddings: how they are computed, kept and read."""

    name: str
    """In the cache."""
    identity: list[Any]
    """All that they depend on beside the text."""
    compute: Callable[[SentenceTransformer, list[str]], list[bytes]]
    parse: Callable[[bytes], NDArray[T]]
    query: bool = False
    """Whether the texts are questions."""


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


def _to_bytes(array: NDArray[Any]) -> bytes:
    """With its shape, as ``numpy.load`` reads it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
