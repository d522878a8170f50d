"""A GGUF file says what the same weights say as safetensors."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.llm.base import Call, Reply
from radio.llm.transformers import TransformersModel
from radio.models.tokenizers import load_tokenizer
from radio.schema import InputError
from tests.llm.local_models import make_model

gguf = pytest.importorskip("gguf", reason="the extra `gguf` is not installed")

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
"""What llama.cpp calls the weights of a Llama."""


SPECIAL = ("<pad>", "<eos>", "<unk>", "<bos>")
MERGES = ["t h", "th e", "\u0120 the", "a m", "l am", "lam p"]
"""Of a byte-level tokenizer, in which a blank is U+0120."""


def permuted(weights: Any, heads: int) -> Any:
    """Queries and keys as llama.cpp rotates them: neighbours in pairs, not halves."""
    size = weights.shape[0] // heads // 2
    split = weights.reshape(heads, 2, size, weights.shape[1])
    return split.swapaxes(1, 2).reshape(weights.shape)


def write_gguf(folder: Path, path: Path) -> None:
    """The weights and tokens of a folder with a tiny Llama as a GGUF file in fp32."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    heads = config["num_attention_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    pieces = [*SPECIAL, "\u0120", *string.ascii_lowercase, *string.digits]
    pieces += [merge.replace(" ", "") for merge in MERGES]
    assert len(pieces) == config["vocab_size"]
    kinds = [gguf.TokenType.CONTROL] * len(SPECIAL)
    kinds += [gguf.TokenType.NORMAL] * (len(pieces) - len(SPECIAL))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(pieces)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(3)
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    for name, weights in load_file(folder / "model.safetensors").items():
        short = name.replace("model.layers.", "blk.")
        for long, other in NAMES.items():
            short = short.replace(long, other)
        if "attn_q" in short or "attn_k" in short:
            weights = permuted(weights, heads)
        writer.add_tensor(short, np.ascontiguousarray(weights, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_the_tokenizer_of_a_gguf_file_is_its_own(tmp_path: Path) -> None:
    make_model(tmp_path / "plain", "decoder")
    folder = tmp_path / "packed"
    folder.mkdir()
    write_gguf(tmp_path / "plain", folder / "tiny.gguf")
    tokenizer = load_tokenizer(str(folder), gguf_file="tiny.gguf")
    tokens = tokenizer("the lamp the 7")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(tokens) == "the \u0120 lamp \u0120the \u0120 7".split()
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<bos>",
        "<eos>",
        "<pad>",
    )
    shutil.copy(tmp_path / "plain/tokenizer.json", folder)
    with pytest.raises(InputError, match=r"tokenizer\.json lies beside tiny\.gguf"):
        load_tokenizer(str(folder), gguf_file="tiny.gguf")


def calls() -> list[Call]:
    texts = ("which lamp burns", "question 7 because of the fog in tower 3", "rationale")
    return [Call(f"k{n}", f"q{n}", "", lambda text=text: text) for n, text in enumerate(texts)]


def test_a_gguf_file_answers_and_judges_as_its_weights_do(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    make_model(plain, "decoder")
    packed = tmp_path / "packed"
    packed.mkdir()
    write_gguf(plain, packed / "tiny.gguf")
    # the tokenizer is in the file, too
    load_tokenizer(str(packed), gguf_file="tiny.gguf").save_pretrained(plain)
    options: dict[str, Any] = {"dtype": "float32", "max_tokens": 12, "accelerator": "cpu"}
    said, judged = {}, {}
    for folder, file in ((plain, None), (packed, "tiny.gguf")):
        model = TransformersModel(str(folder), gguf_file=file, **options)
        cache = Cache(tmp_path / f"{folder.name}.sqlite")
        replies = {call.key: reply for call, reply in model.complete(calls(), cache)}
        assert all(isinstance(reply, Reply) for reply in replies.values())
        said[folder] = {key: (reply.text, reply.usage) for key, reply in replies.items()}
        judged[folder] = model.log_likelihood(calls(), ["in the tower", "lamp 5", "fog"])
        model.release()
    assert said[packed] == said[plain]
    assert len({text for text, _ in said[plain].values()}) == 3, "each prompt has its own answer"
    for found, expected in zip(judged[packed], judged[plain], strict=True):
        assert found.tokens == expected.tokens > 0
        assert found.total == pytest.approx(expected.total, rel=1e-5)
