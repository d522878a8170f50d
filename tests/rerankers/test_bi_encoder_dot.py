"""Similarity, modules and prompts of a bi-encoder are the model's own: in training, ranking,
retrieval and export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from radio.cache import Cache
from radio.encoders import Encoder
from radio.losses import ListNet
from radio.models import files as model_files
from radio.rationales.checks import best_passages
from radio.rerankers import BiEncoder, Reranker
from radio.schema import InputError, Rationale
from tests.conftest import ROOT, WORDS
from tests.rerankers.test_base import TEXTS, group, learns, ready, scores

GROUPS = [group(0, TEXTS), group(1, TEXTS[:3])]
PROMPTS = {"query": "who ", "document": "about "}


@pytest.fixture(scope="module")
def ance(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of the architecture of ANCE: RoBERTa, first token, projection, layer norm, dot
    product."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("ance")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789?.")
    words = dict.fromkeys([*special, *WORDS, *letters, "who", "lit", "the", "About", "Who"])
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    config = RobertaConfig(
        vocab_size=len(words), max_position_embeddings=66, initializer_range=0.3, **sizes
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(folder / "body")
    fast.save_pretrained(folder / "body")
    modules = [
        Transformer(str(folder / "body")),
        Pooling(32, pooling_mode="cls"),
        Dense(32, 24, activation_function=torch.nn.Identity()),
        LayerNorm(24),
    ]
    network = SentenceTransformer(
        modules=modules, device="cpu", similarity_fn_name="dot", prompts=PROMPTS
    )
    network.save(str(folder / "model"), create_model_card=False)
    return str(folder / "model")


def by_sentence_transformers(folder: str, max_length: int = 48) -> list[torch.Tensor]:
    """Similarities of the groups as the library itself gives them."""
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(folder, device="cpu")
    other.max_seq_length = max_length
    found = []
    for g in GROUPS:
        question = other.encode_query([g.question.question])
        found.append(
            other.similarity(question, other.encode_document([p.contents for p in g.passages]))[0]
        )
    return found


def assert_same(reranker: Reranker, expected: list[torch.Tensor]) -> None:
    for row, wanted in zip(scores(reranker, GROUPS), expected, strict=True):
        torch.testing.assert_close(row[: len(wanted)], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("packed", [True, False])
def test_a_model_of_dot_products_is_trained_ranked_and_exported_by_them(
    packed: bool, ance: str, tmp_path: Path
) -> None:
    reranker = ready(BiEncoder, ance, dropout=0.0)
    assert isinstance(reranker, BiEncoder)
    assert reranker._packed
    reranker._packed = packed
    assert (reranker.scale, reranker.prefixes) == (1.0, ("who ", "about "))
    assert_same(reranker, by_sentence_transformers(ance))
    learns(reranker, ListNet(teacher_temperature=0.1), lr=1e-3)
    reranker.eval()
    folder = str(reranker.export(tmp_path / "export"))
    settings = json.loads((Path(folder) / "config_sentence_transformers.json").read_text())
    assert settings["similarity_fn_name"] == "dot"
    assert settings["prompts"] == PROMPTS
    tuned = scores(reranker, GROUPS)
    assert_same(reranker, by_sentence_transformers(folder))
    torch.testing.assert_close(
        scores(ready(BiEncoder, folder), GROUPS), tuned, atol=1e-4, rtol=1e-4
    )


def test_the_question_side_of_a_dot_model_keeps_its_similarity(ance: str, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    passages = {p.id: p for p in GROUPS[0].passages}
    reranker = BiEncoder(ance, train_side="question", max_length=48)
    reranker.index(passages, cache)
    reranker.configure_model()
    assert_same(reranker.eval(), by_sentence_transformers(ance))
    folder = str(reranker.export(tmp_path / "export"))
    assert_same(reranker, by_sentence_transformers(folder))
    again = BiEncoder(folder, train_side="question", max_length=48)
    again.index(passages, cache)
    again.configure_model()
    assert_same(again.eval(), by_sentence_transformers(ance))


def test_an_encoder_of_dot_products_does_not_shorten_its_vectors(ance: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    cache = Cache(tmp_path / "cache.sqlite")
    other = SentenceTransformer(ance, device="cpu")
    found = Encoder(ance, max_length=48, device="cpu").encode(TEXTS[:2], cache, query=True)
    np.testing.assert_allclose(found, other.encode_query(TEXTS[:2]), atol=1e-4)
    assert not np.allclose(np.linalg.norm(found, axis=1), 1, atol=0.1)
    # another similarity does not find these in the cache
    unit = Encoder(ance, max_length=48, device="cpu", similarity="cosine").encode(
        TEXTS[:2], cache, query=True
    )
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-5)


def test_the_support_of_a_rationale_is_a_cosine_whatever_the_encoder(
    ance: str, tmp_path: Path
) -> None:
    items = [(g.question, Rationale(g.question.id, "fog lamp rope"), g.passages) for g in GROUPS]
    found = best_passages(
        items, Encoder(ance, max_length=48, device="cpu"), Cache(tmp_path / "cache.sqlite")
    )
    assert len(found) == 2
    assert all(-1 <= support.similarity <= 1 for support in found.values())


def test_an_encoder_is_told_by_its_similarity_whether_it_was_asked_for_or_read(
    tiny_bert: str,
) -> None:
    encoder = Encoder(tiny_bert)
    before = encoder.fingerprint()
    assert encoder.similarity == "cosine"
    assert encoder.fingerprint() == before == Encoder(tiny_bert, similarity="cosine").fingerprint()
    assert Encoder(tiny_bert, similarity="dot").fingerprint() != before


def as_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    """A hub's model in the cache of the hub's client, as a download leaves it."""
    from huggingface_hub import constants

    commit = "0" * 40
    repo = tmp_path / f"models--{name.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(commit)
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config_sentence_transformers.json").write_text(json.dumps(settings))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("Qwen/Qwen3-Embedding-0.6B", {"query": "Instruct: find\nQuery:", "document": ""}),
        ("Snowflake/arctic-embed-m", {"query": "Represent: "}),
        ("google/embeddinggemma-300m", {"query": "task: q | ", "document": "title: none | "}),
    ],
)
def test_prompts_of_a_hub_model_are_used(
    name: str, prompts: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    as_hub(monkeypatch, tmp_path, name, {"prompts": prompts, "similarity_fn_name": "dot"})
    model_files._from_hub.cache_clear()
    reranker = BiEncoder(name)
    assert reranker.prefixes == (prompts["query"], prompts.get("document", ""))
    assert reranker.similarity == Encoder(name).similarity == "dot"
    model_files._from_hub.cache_clear()


def test_models_that_say_nothing_are_known_by_their_name() -> None:
    dot = [
        "sentence-transformers/msmarco-roberta-base-ance-firstp",
        "sentence-transformers/multi-qa-mpnet-base-dot-v1",
    ]
    assert [BiEncoder(name).similarity for name in dot] == ["dot", "dot"]
    assert BiEncoder("intfloat/e5-base-v2").similarity == "cosine"
    assert BiEncoder("intfloat/e5-base-v2").prefixes == ("query: ", "passage: ")
    assert BiEncoder("intfloat/e5-base-v2").scale == 20.0
    settings = yaml.safe_load((ROOT / "configs/rerankers/ance.yaml").read_text())["model"][
        "init_args"
    ]
    assert BiEncoder(settings["model"], similarity=settings["similarity"]).scale == 1.0


def test_empty_prefixes_of_an_export_are_no_invitation_for_those_of_e5(
    tiny_bert: str, tmp_path: Path
) -> None:
    reranker = ready(BiEncoder, tiny_bert, query_prefix="", passage_prefix="")
    folder = str(reranker.export(tmp_path / "e5-base-tuned"))
    assert BiEncoder(folder).prefixes == ("", "")


def test_a_distance_is_refused(ance: str, tmp_path: Path) -> None:
    folder = shutil.copytree(ance, tmp_path / "model")
    path = Path(folder) / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"similarity_fn_name": "euclidean"}))
    with pytest.raises(InputError, match="similarity: found 'euclidean', expected cosine or dot"):
        BiEncoder(str(folder)).configure_model()


def test_shortened_vectors_are_compared_as_the_model_shortens_them(
    ance: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(ance, tmp_path / "model")
    path = Path(folder) / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncate_dim": 8}))
    reranker = ready(BiEncoder, str(folder))
    assert_same(reranker, by_sentence_transformers(str(folder)))
    assert_same(
        ready(BiEncoder, str(reranker.export(tmp_path / "export"))),
        by_sentence_transformers(str(folder)),
    )
