"""Models of known shapes with random weights, their tokenizers, and texts of known lengths.

Nothing is downloaded. A tokenizer knows the words ``w0``, ``w1``, ... alone, so that a text has as
many tokens as words; the tables of embeddings are as large as those of the models named.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.measure import Work
from radio.schema import Group, Passage, Question

MAX_LENGTH = 512

SHAPES: dict[str, tuple[str, dict[str, int]]] = {
    # cross-encoder/ms-marco-MiniLM-L6-v2
    "MiniLM-L6": (
        "bert",
        {"vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6}
        | {"num_attention_heads": 12, "intermediate_size": 1536},
    ),
    "bge-reranker-base": (
        "xlm-roberta",
        {"vocab_size": 250002, "hidden_size": 768, "num_hidden_layers": 12}
        | {"num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "e5-base-v2": (
        "bert",
        {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12}
        | {"num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "bge-m3": (
        "xlm-roberta",
        {"vocab_size": 250002, "hidden_size": 1024, "num_hidden_layers": 24}
        | {"num_attention_heads": 16, "intermediate_size": 4096},
    ),
    "Qwen3-Reranker-0.6B": (
        "qwen3",
        {"vocab_size": 151669, "hidden_size": 1024, "num_hidden_layers": 28, "head_dim": 128}
        | {"num_attention_heads": 16, "num_key_value_heads": 8, "intermediate_size": 3072},
    ),
}
"""By the name of a model that has it: kind of transformers, and the sizes that its config says."""

WORDS, FEW_WORDS = 30_000, 200
"""That tokenizers know; the few are those of a test."""

TINY = {"vocab_size": FEW_WORDS + 64, "hidden_size": 32, "num_hidden_layers": 2} | {
    "num_attention_heads": 2,
    "intermediate_size": 64,
}

HEADS = {
    "score": "AutoModelForSequenceClassification",
    "encode": "AutoModel",
    "generate": "AutoModelForCausalLM",
}


def sizes(work: Work, name: str) -> dict[str, int]:
    """The sizes of a shape, or those of a test."""
    kind, full = SHAPES[name]
    if not work.tiny:
        return full
    return TINY | ({"num_key_value_heads": 1, "head_dim": 16} if kind == "qwen3" else {})


def config_of(work: Work, name: str) -> Any:
    """The transformers configuration of a shape; dropout is the architecture's own, 0.1 in BERT's
    family."""
    from transformers import AutoConfig

    kind, _ = SHAPES[name]
    values: dict[str, Any] = dict(sizes(work, name))
    # wider than usual: with untrained weights of the usual width all pairs have nearly one score
    values["initializer_range"] = 0.05
    if kind == "xlm-roberta":
        values |= {
            "max_position_embeddings": MAX_LENGTH + 2,
            "pad_token_id": 1,
            "type_vocab_size": 1,
        }
    elif kind == "qwen3":
        values |= {"tie_word_embeddings": True, "max_position_embeddings": 32768}
        values |= {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
    return AutoConfig.for_model(kind, **values)


def known_words(work: Work) -> int:
    return FEW_WORDS if work.tiny else WORDS


def tokenizer_of(work: Work, name: str) -> Any:
    """A tokenizer of words, which joins question and passage as the architecture does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "<|im_start|>", "<|im_end|>"]
    known = [*special, "yes", "no", *(f"w{number}" for number in range(known_words(work)))]
    tokens = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    options: dict[str, Any] = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    inputs = ["input_ids", "attention_mask"]
    kind, _ = SHAPES[name]
    if kind == "qwen3":
        options |= {"eos_token": "[SEP]", "extra_special_tokens": special[4:]}
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(word, tokens[word]) for word in ("[CLS]", "[SEP]")],
        )
        options |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    if kind == "bert":
        inputs.append("token_type_ids")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, model_input_names=inputs, **options
    )


def model_folder(work: Work, name: str, use: str) -> Path:
    """A folder with the model and its tokenizer, made on first use.

    Args:
        work: says where, and on which device the weights are drawn.
        name: of :data:`SHAPES`.
        use: of :data:`HEADS`.
    """
    import transformers

    folder = work.folder / f"{name}-{use}"
    if (folder / "config.json").is_file():
        return folder
    config = config_of(work, name)
    if use == "score":
        config.num_labels = 1
    torch.manual_seed(0)
    with torch.device(work.device):
        network = getattr(transformers, HEADS[use]).from_config(config, dtype=torch.float32)
    network.save_pretrained(folder)
    tokenizer_of(work, name).save_pretrained(folder)
    return folder


def forward_flops(size: Mapping[str, int], lengths: list[int]) -> float:
    """FLOPs of an encoder's layers on these sequences, without padding, as ``benchmarks.speed``
    counts them."""
    hidden, layers = size["hidden_size"], size["num_hidden_layers"]
    weights = layers * (4 * hidden**2 + 2 * hidden * size["intermediate_size"])
    return float(sum(2 * weights * n + 4 * n**2 * hidden * layers for n in lengths))


def text(work: Work, draw: random.Random, words: int) -> str:
    """So many words, and as many tokens."""
    known = known_words(work)
    return " ".join(f"w{draw.randrange(known)}" for _ in range(words))


def groups(work: Work, count: int, passages: int, *, words: int | None = None) -> list[Group]:
    """Questions of 6 to 14 words with passages, the first of which is the teacher's choice.

    Args:
        work: of a test, passages are a tenth as long.
        count: of questions.
        passages: of each.
        words: of every passage, in a test too; None draws them as those of a corpus cut at about
            100 words are, with a tail: median 130 tokens, at most 480.
    """
    draw = random.Random(0)
    made = []
    for number in range(count):
        question = Question(f"q{number}", text(work, draw, draw.randint(6, 14)), ("w1",))
        found = []
        for place in range(passages):
            drawn = min(480, max(20, round(draw.lognormvariate(4.87, 0.45))))
            size = words or (drawn // 10 if work.tiny else drawn)
            found.append(Passage(f"p{number}/{place}", text(work, draw, size)))
        scores = (1.0, *(draw.uniform(0, 0.9) for _ in range(passages - 1)))
        made.append(Group(question, tuple(found), scores))
    return made
