"""Heads and tokenizers of real checkpoints: two labels, decoders, a padding that only the tokenizer
has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from radio.rerankers import CrossEncoder
from radio.schema import InputError
from tests.rerankers.test_base import TEXTS, check_cross_encoder, group, pairs, scores

GROUPS = [group(0, TEXTS), group(1, TEXTS[:3])]


def ready(model: str) -> CrossEncoder:
    reranker = CrossEncoder(model, max_length=48)
    reranker.configure_model()
    return reranker.eval()


def two_labels(tiny_bert: str, folder: Path, names: list[str]) -> str:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(5)
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}
    network = BertForSequenceClassification(BertConfig.from_pretrained(tiny_bert, **labels))
    torch.nn.init.normal_(network.classifier.bias)
    network.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("names", "relevant"),
    [
        (["LABEL_0", "LABEL_1"], 1),
        (["irrelevant", "relevant"], 1),
        (["True", "False"], 0),
        (["entailment", "not_entailment"], 0),
    ],
)
def test_of_two_labels_the_difference_is_the_score(
    names: list[str], relevant: int, tiny_bert: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = two_labels(tiny_bert, tmp_path / "model", names)
    reranker = ready(model)
    plain = AutoModelForSequenceClassification.from_pretrained(model).eval()
    left, right = zip(*pairs(GROUPS), strict=True)
    tokens = AutoTokenizer.from_pretrained(model)(
        list(left), list(right), truncation=True, max_length=48, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = plain(**tokens).logits
    found = scores(reranker, GROUPS)[reranker.collate(GROUPS).mask]
    torch.testing.assert_close(
        found, logits[:, relevant] - logits[:, 1 - relevant], atol=1e-5, rtol=1e-5
    )
    # the export has one logit, which others read as they do those of any other
    check_cross_encoder(reranker, reranker.export(tmp_path / "export"), GROUPS)


def test_two_labels_of_which_none_says_irrelevant_are_refused(
    tiny_bert: str, tmp_path: Path
) -> None:
    model = two_labels(tiny_bert, tmp_path / "model", ["good", "bad"])
    with pytest.raises(
        InputError, match=r"has the labels good and bad, and which of them says .* is not known"
    ):
        ready(model)


def decoder(folder: Path, *, special: dict[str, str], head: bool) -> str:
    """A random GPT-2, whose configuration knows no padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        GPT2Config,
        GPT2ForSequenceClassification,
        GPT2Model,
        PreTrainedTokenizerFast,
    )

    from tests.conftest import WORDS

    words = ["<|endoftext|>", *WORDS, *"0123456789?.:", "Who", "lit", "the", "at", "and"]
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<|endoftext|>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "n_positions": 128,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 2,
        "initializer_range": 0.3,
    }
    config = GPT2Config(
        vocab_size=len(words), bos_token_id=0, eos_token_id=0, num_labels=1, **sizes
    )
    (GPT2ForSequenceClassification if head else GPT2Model)(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize(
    "special",
    [
        {"eos_token": "<|endoftext|>"},
        # the tokenizer alone has it: the network has no vector for it
        {"eos_token": "<|endoftext|>", "pad_token": "<pad>"},
        {"eos_token": "<|endoftext|>", "pad_token": "and"},
    ],
)
def test_a_decoder_without_padding_scores_batches_as_it_does_single_pairs(
    special: dict[str, str], head: bool, tmp_path: Path
) -> None:
    reranker = ready(decoder(tmp_path / "model", special=special, head=head))
    texts = ["stone rope gull", "fog", "wind tower bell chart pilot anchor fog storm", "tide lamp"]
    whole = scores(reranker, [group(0, texts)])[0]
    assert whole.unique().numel() == 4
    for text, score in zip(texts, whole, strict=True):
        torch.testing.assert_close(
            scores(reranker, [group(0, [text])])[0, 0], score, atol=1e-5, rtol=1e-5
        )
    folder = reranker.export(tmp_path / "export")
    torch.testing.assert_close(
        scores(ready(str(folder)), [group(0, texts)])[0], whole, atol=1e-5, rtol=1e-5
    )


def test_a_tokenizer_that_cannot_pad_at_all_is_one_message(tmp_path: Path) -> None:
    model = decoder(tmp_path / "model", special={"unk_token": "<|endoftext|>"}, head=True)
    with pytest.raises(InputError, match="neither a pad_token nor an eos_token"):
        ready(model)
