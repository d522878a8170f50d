"""Padding-free steps equal the naive padded ones: same scores, same gradients, whatever the
architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from radio.losses import InfoNCE
from radio.models import packing
from radio.models.packing import attend, pack
from radio.rerankers import BiEncoder, CrossEncoder, Reranker
from radio.schema import Group, Passage, Question

WORDS = (
    "the storm and wind tide harbour gull bell lamp fog captain1 rope stone anchor chart port1"
).split()
PACKED = ["bert", "roberta", "xlm-roberta", "electra", "camembert"]
PADDED = ["distilbert", "mpnet", "albert", "modernbert"]


def groups() -> list[Group]:
    """Groups of different sizes, with passages of one to thirty words, some of them equal."""
    generator = torch.Generator().manual_seed(0)

    def words(n: int) -> str:
        return " ".join(
            WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=generator).tolist()
        )

    made = []
    for q, sizes in enumerate([(1, 9, 30, 4), (17, 2), (30, 30, 5, 12, 8)]):
        passages = tuple(Passage(f"{q}-{i}", words(size)) for i, size in enumerate(sizes))
        scores = tuple(1 - i / len(sizes) for i in range(len(sizes)))
        made.append(Group(Question(str(q), words(4 + q)), passages, scores))
    return made


@pytest.fixture
def folder(request: pytest.FixtureRequest, tiny_bert: str, tmp_path: Path) -> str:
    """A random two-layer model of the architecture named by the parameter, with the tiny BERT's
    tokenizer."""
    kind: str = request.param
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=len(tokenizer),
        max_position_embeddings=80,
        pad_token_id=0,
        num_labels=1,
        **sizes,
    )
    if kind == "modernbert":
        config.cls_token_id, config.sep_token_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    if config.model_type in (
        "roberta",
        "xlm-roberta",
        "camembert",
        "distilbert",
        "mpnet",
        "modernbert",
    ):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def naive(reranker: Reranker, folder: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of one padded call of the model as transformers gives it."""
    plain = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    plain.load_state_dict(reranker.network.state_dict())
    batch = reranker.collate(groups())
    pairs = [(g.question.question, p.contents) for g in groups() for p in g.passages]
    left, right = map(list, zip(*pairs, strict=True))
    tokens = reranker.tokenizer(
        left,
        right,
        truncation=True,
        max_length=reranker.max_length,
        padding=True,
        return_tensors="pt",
    )
    scores = torch.zeros(batch.mask.shape).masked_scatter(
        batch.mask, plain(**tokens).logits.squeeze(-1)
    )
    loss = InfoNCE()(scores, batch.teacher, batch.mask)
    loss.backward()
    return scores.detach(), {n: p.grad for n, p in plain.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("tokens", [1, 40, 100_000])
@pytest.mark.parametrize("folder", [*PACKED, *PADDED], indirect=True, ids=lambda x: x)
def test_a_step_equals_the_naive_padded_one(
    folder: str, tokens: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(packing, "CPU_TOKENS", tokens)
    reranker = CrossEncoder(folder, max_length=48)
    reranker.configure_model()
    kind = AutoConfig.from_pretrained(folder).model_type
    assert reranker._packed == (kind in PACKED)
    reranker.eval()
    expected, gradients = naive(reranker, folder)
    batch = reranker.collate(groups())
    scores = reranker(batch)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)
    InfoNCE()(scores, batch.teacher, batch.mask).backward()
    found = {n: p.grad for n, p in reranker.network.named_parameters() if p.grad is not None}
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            found[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_bi_encoder_equals_sentence_transformers(
    tiny_bert: str, tmp_path: Path, pooling: str
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    body = Transformer(tiny_bert)
    whole = SentenceTransformer(
        modules=[body, Pooling(32, pooling_mode=pooling), Normalize()], device="cpu"
    )
    whole.save(str(tmp_path / "model"), create_model_card=False)
    reranker = BiEncoder(str(tmp_path / "model"), max_length=48, scale=1.0)
    reranker.configure_model()
    reranker.eval()
    assert reranker._packed
    whole.max_seq_length = 48
    with torch.no_grad():
        found = reranker(reranker.collate(groups()))
    for row, group in zip(found, groups(), strict=True):
        question = whole.encode([group.question.question], convert_to_tensor=True)
        passages = whole.encode([p.contents for p in group.passages], convert_to_tensor=True)
        torch.testing.assert_close(
            row[: len(passages)], (question @ passages.T)[0], atol=1e-5, rtol=1e-5
        )


def test_padded_calls_go_on_working(tiny_bert: str) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    reranker.eval()
    tokens = reranker.tokenizer(["who lit the lamp", "fog"], padding=True, return_tensors="pt")
    plain = AutoModelForSequenceClassification.from_pretrained(
        tiny_bert, num_labels=1, dtype=torch.float32
    ).eval()
    plain.load_state_dict(reranker.network.state_dict())
    torch.testing.assert_close(reranker.network(**tokens).logits, plain(**tokens).logits)


def test_pack_puts_the_longest_first_and_remembers_where_each_went() -> None:
    row = pack({"input_ids": [[1], [2, 2, 2], [3, 3]], "attention_mask": [[1], [1, 1, 1], [1, 1]]})
    assert row["lengths"] == [3, 2, 1]
    assert row["input_ids"].tolist() == [2, 2, 2, 3, 3, 1]
    assert row["where"].tolist() == [2, 0, 1]
    assert set(row) == {"input_ids", "lengths", "where"}


@pytest.mark.parametrize("limit", [1, 3, 5, 6, 100])
def test_chunks_hold_whole_sequences_and_all_of_them(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "CPU_TOKENS", limit)
    row = pack({"input_ids": [[n] * n for n in (1, 2, 3, 1, 2, 3)]})
    parts = list(packing.chunks(row))
    assert [length for _, lengths in parts for length in lengths] == row["lengths"]
    assert torch.cat([tokens["input_ids"] for tokens, _ in parts]).equal(row["input_ids"])
    for tokens, lengths in parts:
        assert set(tokens) == {"input_ids"}
        assert sum(lengths) == len(tokens["input_ids"])
        assert sum(lengths) <= limit or len(lengths) == 1


def qkv(
    lengths: list[int], single: bool, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    torch.manual_seed(0)
    sizes = [len(lengths) if single else sum(lengths), sum(lengths), sum(lengths)]
    return [
        torch.randn(1, 2, size, 16, device=device, dtype=dtype, requires_grad=True)
        for size in sizes
    ]


def naive_attention(tensors: list[Tensor], lengths: list[int], single: bool) -> Tensor:
    """One softmax for each query over its own sequence, in a block-diagonal mask."""
    query, key, value = tensors
    owner = torch.tensor([i for i, n in enumerate(lengths) for _ in range(n)])
    asks = torch.arange(len(lengths)) if single else owner
    scores = (query @ key.transpose(-1, -2)) * 0.25
    scores = scores.masked_fill((asks[:, None] != owner[None, :]).to(query.device), -1e30)
    return (scores.softmax(-1) @ value).transpose(1, 2)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_stays_within_each_sequence(single: bool, dtype: torch.dtype) -> None:
    lengths = [5, 3, 3, 1]
    tensors = qkv(lengths, single, dtype=dtype)
    exact = [x.detach().float().requires_grad_() for x in tensors]
    expected = naive_attention(exact, lengths, single)
    whole = torch.autograd.grad(expected.square().sum(), exact)
    tolerance, relative = (1e-5, 1.3e-6) if dtype == torch.float32 else (2e-2, 2e-2)
    with torch.no_grad():
        unwatched = attend(*tensors, lengths, scale=0.25)
    torch.testing.assert_close(unwatched.float(), expected, atol=tolerance, rtol=relative)
    for way in (
        attend(*tensors, lengths, scale=0.25),
        packing._padded(*tensors, lengths, single, 0.0, 0.25),
    ):
        torch.testing.assert_close(way.float(), expected, atol=tolerance, rtol=relative)
        found = torch.autograd.grad(way.float().square().sum(), tensors)
        for x, gradient in zip(found, whole, strict=True):
            torch.testing.assert_close(x.float(), gradient, atol=tolerance, rtol=10 * tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_on_cuda(single: bool, dtype: torch.dtype) -> None:
    lengths = [70, 33, 3, 1]
    tensors = qkv(lengths, single, "cuda", dtype)
    exact = naive_attention([x.float() for x in tensors], lengths, single)
    found = attend(*tensors, lengths, scale=0.25)
    tolerance = 1e-4 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found.float(), exact, atol=tolerance, rtol=tolerance)
    for x, y in zip(
        torch.autograd.grad(found.float().square().sum(), tensors),
        torch.autograd.grad(exact.square().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(x.float(), y.float(), atol=10 * tolerance, rtol=10 * tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_of_attention_on_cuda(single: bool, dtype: torch.dtype) -> None:
    lengths = [70, 33, 3, 1]
    tensors = qkv(lengths, single, "cuda", dtype)
    exact = naive_attention([x.float() for x in tensors], lengths, single)

    def once(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return attend(*tensors, lengths, dropout=0.2, scale=0.25)

    assert torch.equal(once(0), once(0))
    assert not torch.equal(once(0), once(1))
    total = torch.zeros_like(exact)
    for seed in range(2000):
        total += once(seed).detach().float()
    # what is dropped is made up for: on average nothing changes
    torch.testing.assert_close(total / 2000, exact, atol=0.05, rtol=0.05)
    for gradient in torch.autograd.grad(once(0).float().square().sum(), tensors):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_dropout_is_seeded_and_off_in_evaluation(tiny_bert: str) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    batch = reranker.collate(groups())

    def once(seed: int) -> Any:
        torch.manual_seed(seed)
        return reranker(batch)

    assert once(1).equal(once(1))
    assert not once(1).equal(once(2))
    reranker.eval()
    assert once(1).equal(once(2))
