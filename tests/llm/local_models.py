"""Tiny random models of each kind, with real tokenizers, as hub models would look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHAT = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}[go] {% endif %}"
)
WORDS = (
    "question correct answer rationale which lamp burns in the tower because of fog "
    + " ".join(map(str, range(30)))
)
WRITERS = ("decoder", "chat decoder", "absolute positions", "encoder-decoder")
"""Those that write something else to each prompt."""
KINDS = (*WRITERS, "begun decoder")


def make_model(folder: Path, kind: str) -> str:
    """Write a model of one of :data:`KINDS` into a folder; returns its name."""
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        T5Config,
        T5ForConditionalGeneration,
    )

    size = {"vocab_size": write_tokenizer(folder, kind), "pad_token_id": 0, "eos_token_id": 1}
    torch.manual_seed(1)
    network: Any
    if kind == "encoder-decoder":
        config = T5Config(
            d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, **size
        )
        network = T5ForConditionalGeneration(config)
    elif kind == "begun decoder":
        # as BART: after its start token an answer begins with one more
        layers: dict[str, Any] = {
            f"{part}_{name}": value
            for part in ("encoder", "decoder")
            for name, value in (("layers", 1), ("attention_heads", 4), ("ffn_dim", 64))
        }
        network = BartForConditionalGeneration(
            BartConfig(
                d_model=32,
                bos_token_id=3,
                decoder_start_token_id=1,
                forced_bos_token_id=3,
                max_position_embeddings=512,
                **layers,
                **size,
            )
        )
    elif kind == "absolute positions":
        network = GPT2LMHeadModel(
            GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=512, bos_token_id=1, **size)
        )
    else:
        shape = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        network = LlamaForCausalLM(LlamaConfig(max_position_embeddings=512, **shape, **size))
    # larger weights: a random model of the usual scale says the same to every prompt
    scale = {"encoder-decoder": 6, "begun decoder": 10}.get(kind, 25)
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and (
            kind == "encoder-decoder" or not any(part in name for part in ("embed", "wte", "wpe"))
        ):
            parameter.data *= scale
    network.eval().save_pretrained(folder)
    return str(folder)


def write_tokenizer(folder: Path, kind: str) -> int:
    """Write a tokenizer of words; returns the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys(["<pad>", "<eos>", "<unk>", "<bos>", *WORDS.split()])
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    shapes = {
        "decoder": "<bos> $A",
        "chat decoder": "<bos> $A",
        "encoder-decoder": "$A <eos>",
        "begun decoder": "<bos> $A <eos>",
    }
    if kind in shapes:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=shapes[kind], special_tokens=[("<eos>", 1), ("<bos>", 3)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        bos_token="<bos>",
    )
    if kind == "chat decoder":
        fast.chat_template = CHAT
    fast.save_pretrained(folder)
    return len(fast)
