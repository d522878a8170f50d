"""A model embeds texts and tokens, alone as among others."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.models.embedding import EmbeddingModel
from radio.models.loading import load_sentence_transformer

TEXTS = ["Lamp 3.", "The keeper lit the lamp because of the storm.", "Tide", "A gull at the bell."]


def vectors(values: list[bytes]) -> NDArray[np.float32]:
    return np.stack([np.frombuffer(value, dtype=np.float32) for value in values])


@pytest.fixture(params=["without padding", "padded"])
def model(
    tiny_bert: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> EmbeddingModel:
    if request.param == "padded":
        monkeypatch.setattr("radio.models.packing.enable", lambda *_, **__: False)
    return EmbeddingModel(load_sentence_transformer(tiny_bert, "cpu").eval(), 3, "fp32")


def test_unit_length_is_of_the_same_direction(model: EmbeddingModel) -> None:
    unit = vectors(model.texts(TEXTS, query=False, unit=True))
    own = vectors(model.texts(TEXTS, query=False, unit=False))
    lengths = np.linalg.norm(own, axis=1, keepdims=True)
    assert not np.allclose(lengths, 1, atol=0.01)
    np.testing.assert_allclose(unit, own / lengths, atol=1e-6)


def test_a_text_has_its_own_embedding_whatever_stands_beside_it(model: EmbeddingModel) -> None:
    together = vectors(model.texts(TEXTS, query=True, unit=True))
    for text, vector in zip(TEXTS, together, strict=True):
        alone = vectors(model.texts([text], query=True, unit=True))
        np.testing.assert_allclose(alone[0], vector, atol=1e-6)


def test_each_token_has_one_of_unit_length(model: EmbeddingModel) -> None:
    found = [np.load(io.BytesIO(value)) for value in model.tokens(TEXTS)]
    for text, tokens in zip(TEXTS, found, strict=True):
        assert tokens.shape == (len(model.network.tokenizer(text)["input_ids"]), 32)
        np.testing.assert_allclose(np.linalg.norm(tokens.astype(float), axis=1), 1, atol=2e-3)
