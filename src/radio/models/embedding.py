"""A loaded model as it embeds texts: whole, or each of their tokens."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


class EmbeddingModel:
    """A model on its device.

    Args:
        network: in evaluation mode.
        batch_size: texts that are computed together.
        precision: ``bf16`` computes products in it.
    """

    def __init__(
        self, network: SentenceTransformer, batch_size: int, precision: Literal["fp32", "bf16"]
    ) -> None:
        self.network = network
        self._batch_size = batch_size
        self._precision = precision
        self._packed = _takes_packed(network, precision)

    def texts(self, texts: Sequence[str], *, query: bool, unit: bool) -> list[bytes]:
        """The embedding of each text, float32 ``[dim]``.

        Args:
            texts: with their prefixes.
            query: whether they are questions.
            unit: whether embeddings are to have unit length.
        """
        if self._packed:
            import torch
            from torch.nn.functional import normalize

            found = torch.cat([some for some, _ in self._without_padding(texts)])
            vectors = (normalize(found, dim=1) if unit else found).cpu().numpy()
        else:
            # a folder may hold one model for questions and one for passages
            encode: Any = self.network.encode_query if query else self.network.encode_document
            with self._autocast():
                vectors = encode(list(texts), **self._options(), normalize_embeddings=unit)
        return [np.asarray(vector, dtype=np.float32).tobytes() for vector in vectors]

    def tokens(self, texts: Sequence[str]) -> list[bytes]:
        """The embeddings of the tokens of each passage, of unit length, float16 ``[tokens, dim]``
        as ``numpy.save`` writes it."""
        import torch
        from torch.nn.functional import normalize

        batches: list[Any]
        if self._packed:
            batches = [some for _, some in self._without_padding(texts)]
        else:
            options = {**self._options(), "output_value": "token_embeddings"}
            with self._autocast():
                batches = [self.network.encode_document(list(texts), **options)]
        values = []
        for embeddings in batches:
            unit = normalize(torch.cat(embeddings).float(), dim=1).half().cpu()
            sizes = [len(tokens) for tokens in embeddings]
            values += [_to_bytes(tokens.numpy()) for tokens in torch.split(unit, sizes)]
        return values

    def _without_padding(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
        """Of some texts after the other: embeddings, fp32 ``[N, dim]``, and those of the tokens of
        each, ``[tokens, hidden]``; those of ``encode`` of sentence-transformers, up to rounding.

        Nothing waits for a GPU: texts become tokens while it computes those before them.
        """
        import torch

        from radio.models.packing import sentence_embeddings, unpad

        network: Any = self.network
        for start in range(0, len(texts), self._batch_size):
            row = unpad(network.preprocess(list(texts[start : start + self._batch_size])))
            order = row["where"].tolist()
            for name, value in row.items():
                if name != "lengths":
                    row[name] = _moved(value, network.device)
            with torch.inference_mode(), self._autocast():
                vectors, tokens_of = sentence_embeddings(network, row)
            found = vectors[row["where"], : network.truncate_dim].float()
            yield found, [tokens_of[place] for place in order]

    def _autocast(self) -> AbstractContextManager[object]:
        import torch

        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self.network.device.type, torch.bfloat16)

    def _options(self) -> dict[str, Any]:
        return {"prompt": "", "batch_size": self._batch_size, "show_progress_bar": False}


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


def _to_bytes(array: NDArray[Any]) -> bytes:
    """With its shape, as ``numpy.load`` reads it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
