"""Scores leave every reranker in fp32: 16 bits inside a network make no ties."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, Reranker, YesNoLM
from tests.conftest import WORDS
from tests.rerankers.test_base import group, scores
from tests.rerankers.test_yes_no import make_decoder

TEXTS = [
    f"{' '.join(WORDS[(i + k) % 16] for k in range(3 + i % 7))} {i % 10} {i // 10}"
    for i in range(100)
]
KINDS: dict[str, Any] = {
    "CrossEncoder": (CrossEncoder, {}),
    "BiEncoder": (BiEncoder, {}),
    "BiEncoder with tokens": (BiEncoder, {"multi_vector": 0.5}),
    "LateInteraction": (LateInteraction, {}),
    "YesNoLM": (YesNoLM, {}),
}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_decoder(tmp_path_factory.mktemp("decoder"), "qwen3")


@pytest.fixture(params=KINDS)
def reranker(
    request: pytest.FixtureRequest, tiny_bert: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> Reranker:
    # of heads that are drawn: whatever seed another test has left
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    kind, settings = KINDS[request.param]
    model, length = (decoder, 320) if kind is YesNoLM else (tiny_bert, 48)
    reranker: Reranker = kind(model=model, max_length=length, **settings)
    reranker.configure_model()
    if kind is CrossEncoder:
        # weights of the usual size at random give the first tokens of all pairs the same hidden
        # state in bf16
        for parameter in reranker.network.parameters():
            if parameter.dim() > 1:
                parameter.data *= 5
    return reranker.eval()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_a_hundred_pairs_in_bf16_have_a_hundred_scores(
    reranker: Reranker, packed: bool, weights: torch.dtype
) -> None:
    groups = [group(0, TEXTS)]
    exact = scores(reranker, groups)
    reranker._packed = reranker._packed and packed
    # bf16-true, or bf16-mixed
    reranker.network.to(weights)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=weights == torch.float32):
        found = scores(reranker, groups)
        flat = reranker.score(reranker.collate(groups))
    assert flat.dtype == torch.float32
    assert len(set(exact[0].tolist())) == len(set(found[0].tolist())) == 100
    torch.testing.assert_close(found, exact, atol=0.5, rtol=0.1)


@pytest.mark.parametrize(
    "kind", ["roberta", "electra", "distilbert", "deberta-v2", "modernbert", "gpt2"]
)
def test_the_last_layer_of_any_head_is_found(kind: str) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from radio.rerankers.cross_encoder import _last_layer

    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    if kind != "distilbert":
        sizes["intermediate_size"] = 64
    config = AutoConfig.for_model(
        kind, vocab_size=99, pad_token_id=0, num_labels=1, **({} if kind == "gpt2" else sizes)
    )
    if kind == "gpt2":
        config.n_embd, config.n_layer, config.n_head = 32, 1, 2
    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(config)
    layer = _last_layer(network, 1)
    assert layer is not None
    assert layer.out_features == 1
