"""Passages embedded a second: Encoder against sentence-transformers, what a corpus costs.

Both are given the texts and give back embeddings of unit length on the processor; this project
also writes them into a cache. The peer's weights are in bf16, this project's products.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch

from benchmarks.gpu.measure import Row, Setting, Step, Work, compared
from benchmarks.gpu.shapes import groups, model_folder
from radio.cache import Cache
from radio.encoders import Encoder

PEER = "sentence-transformers"

FASTER = 1.5
"""The aim: times the best peer."""

PRECISIONS: tuple[Literal["fp32", "bf16"], ...] = ("fp32", "bf16")


def precisions(work: Work) -> tuple[Literal["fp32", "bf16"], ...]:
    """What this project's encoder is measured in; a processor may have no bf16."""
    return PRECISIONS if work.on_gpu else PRECISIONS[:1]


@contextmanager
def ours(
    work: Work, folder: str, texts: list[str], size: int, precision: Literal["fp32", "bf16"]
) -> Iterator[Step]:
    """All texts, into an empty cache each time."""
    encoder = Encoder(folder, batch_size=size, device=work.device, precision=precision)
    with TemporaryDirectory(dir=work.folder) as place:
        caches = (Path(place) / f"{number}.sqlite" for number in range(10**6))

        def step() -> int:
            return len(encoder.encode(texts, Cache(next(caches))))

        yield step


@contextmanager
def peer(work: Work, folder: str, texts: list[str], size: int) -> Iterator[Step]:
    """``SentenceTransformer.encode``, which sorts the texts by length."""
    from sentence_transformers import SentenceTransformer

    kwargs: dict[str, Any] = {"dtype": torch.bfloat16} if work.on_gpu else {}
    model = SentenceTransformer(folder, device=work.device, model_kwargs=kwargs)

    def step() -> int:
        return len(model.encode(texts, batch_size=size, normalize_embeddings=True))

    yield step


def embedding(work: Work, name: str) -> list[Row]:
    """Passages a second, of the lengths of a corpus cut at 100 words."""
    folder = str(model_folder(work, name, "encode"))
    (group,) = groups(work, 1, 12 if work.tiny else 1024)
    texts = [passage.contents for passage in group.passages]
    sizes = (4,) if work.tiny else (64, 256)
    mine: dict[str, Setting] = {}
    for precision in precisions(work):
        for size in sizes:
            setting = partial(ours, work, folder, texts, size, precision)
            mine[f"{precision}, {size} texts"] = setting
    peers: dict[str, Setting] = {}
    for size in sizes:
        peers[f"{size} texts"] = partial(peer, work, folder, texts, size)
    row = Row(f"embed passages ({name}), against {PEER}", "passages/s")
    rows = compared(work, mine, peers, row, FASTER)
    row.notes.append(_agreement(work, folder, texts[:64]))
    return rows


def _agreement(work: Work, folder: str, texts: list[str]) -> str:
    """How far embeddings of the precisions are from those of one text at a time in fp32."""
    said = []
    with TemporaryDirectory(dir=work.folder) as place:
        alone = Encoder(folder, batch_size=1, device=work.device)
        expected = alone.encode(texts, Cache(Path(place) / "alone.sqlite"))
        for precision in precisions(work):
            encoder = Encoder(folder, device=work.device, precision=precision)
            found = encoder.encode(texts, Cache(Path(place) / f"{precision}.sqlite"))
            least = float((found * expected).sum(axis=1).min())
            said.append(f"{precision} {1 - least:.1e}")
    return f"1 - cosine to fp32, one text at a time, at most: {', '.join(said)}"
