"""Models and texts that need no download: random weights in known shapes, made-up words."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = 20_000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHAT = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"]
PROMPT = """
yes no system user assistant Judge whether the Document meets requirements based on Query and
Instruct provided Note that answer can only be or Given a web search query retrieve relevant
passages . , : " < > / -
""".split()


@dataclass(frozen=True)
class Shape:
    """A transformer's size."""

    layers: int
    hidden: int
    heads: int

    @property
    def weights(self) -> int:
        """Of the encoder's matrices: four of attention, and two of four times the width."""
        return self.layers * 12 * self.hidden**2

    def flops(self, lengths: list[int], *, training: bool) -> float:
        """Useful ones, as :mod:`benchmarks.speed` counts them."""
        forward = sum(2 * self.weights * n + 4 * n**2 * self.hidden * self.layers for n in lengths)
        return float(forward * (3 if training else 1))


BERT_LARGE = Shape(24, 1024, 16)
MINILM = Shape(6, 384, 12)
QWEN = Shape(28, 1024, 16)
"""The size of Qwen3-Reranker-0.6B."""
TINY = Shape(2, 32, 2)


def words(rng: random.Random, count: int) -> str:
    """Each is one token."""
    return " ".join(f"w{rng.randrange(WORDS)}" for _ in range(count))


def groups(
    count: int, *, passages: int, shortest: int, longest: int, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Groups in the form of :mod:`benchmarks.groups`; passages of ``shortest`` to ``longest``
    words."""
    rng = random.Random(seed)
    for _ in range(count):
        texts = [words(rng, rng.randint(shortest, longest)) for _ in range(passages)]
        yield {
            "question": words(rng, 10),
            "passages": texts[:7],
            "teacher": [1.0, *(rng.random() / 2 for _ in texts[1:7])],
            "all_passages": texts,
        }


def write_groups(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _write_tokenizer(folder: Path, vocabulary: list[str], *, chat: bool, max_length: int) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if not chat:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(token, numbers[token]) for token in ("[CLS]", "[SEP]")],
        )
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        additional_special_tokens=CHAT if chat else [],
        **{f"{name}_token": token for name, token in names.items()},
    )
    fast.save_pretrained(folder)


def write_bert(folder: Path, shape: Shape, *, dropout: float, head: bool = True) -> Path:
    """A BERT of this shape, with one logit or without a head; returns its folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    vocabulary = [*SPECIAL, *(f"w{number}" for number in range(WORDS))]
    _write_tokenizer(folder, vocabulary, chat=False, max_length=512)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=1,
    )
    network = BertForSequenceClassification(config) if head else BertModel(config)
    network.save_pretrained(folder)
    return folder


def write_decoder(folder: Path, shape: Shape) -> Path:
    """A Qwen3 of this shape whose tokenizer knows the prompt's words; returns its folder."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    vocabulary = [*SPECIAL, *CHAT, *PROMPT, *(f"w{number}" for number in range(WORDS))]
    _write_tokenizer(folder, vocabulary, chat=True, max_length=4096)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(vocabulary),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        head_dim=max(16, 128 if shape.hidden >= 1024 else 16),
        intermediate_size=3 * shape.hidden,
        max_position_embeddings=4096,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder
