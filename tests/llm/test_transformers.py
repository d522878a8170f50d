"""Language models on this machine, tiny ones: a batch gives what each prompt gives alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.llm.local import LoadedModel
from radio.rationales import Failure, Request, TransformersWriter, fill
from radio.schema import InputError, Question, Rationale

CHAT = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}[go] {% endif %}"
)
WORDS = (
    "question correct answer rationale which lamp burns in the tower because of fog "
    + " ".join(map(str, range(30)))
)


@pytest.fixture(scope="module", params=["decoder", "chat decoder", "encoder-decoder"])
def model(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random model with a real tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        T5Config,
        T5ForConditionalGeneration,
    )

    folder = tmp_path_factory.mktemp(request.param.replace(" ", "_"))
    words = dict.fromkeys(["<pad>", "<eos>", "<unk>", *WORDS.split()])
    tokenizer = Tokenizer(
        models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    if request.param == "chat decoder":
        fast.chat_template = CHAT
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    size = {"vocab_size": len(fast), "pad_token_id": 0, "eos_token_id": 1}
    network: Any
    if request.param == "encoder-decoder":
        config = T5Config(
            d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, **size
        )
        network = T5ForConditionalGeneration(config)
    else:
        shape = {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        network = LlamaForCausalLM(LlamaConfig(max_position_embeddings=512, **shape, **size))
    # larger weights: a random model of the usual scale says the same to every prompt
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            parameter.data *= (
                6 if request.param == "encoder-decoder" else 1 if "embed" in name else 25
            )
    network.save_pretrained(folder)
    return str(folder)


def requests(count: int = 7) -> list[Request]:
    questions = [
        Question(f"q{n}", "Which lamp burns " * (n % 4 + 1) + str(n), (str(n),))
        for n in range(count)
    ]
    return [Request(f"key{q.id}", q) for q in questions]


def write(folder: Path, **options: Any) -> dict[str, Rationale | Failure]:
    options = {"dtype": "float32", "max_tokens": 12, "accelerator": "cpu", **options}
    writer = TransformersWriter(**options)
    return {r.question_id: r for r in writer.write(requests(), Cache(folder / "unused.sqlite"))}


def test_a_batch_gives_what_each_prompt_gives_alone_on_one_device_or_two(
    model: str, tmp_path: Path
) -> None:
    alone = write(tmp_path, model=model, batch_size=1)
    assert {q: write(tmp_path, model=model, batch_size=3)[q] for q in alone} == alone
    assert write(tmp_path, model=model, batch_size=2, devices=2) == alone
    assert sorted(alone) == [f"q{n}" for n in range(7)]
    assert len({r.text for r in alone.values() if isinstance(r, Rationale)}) > 1, "prompts matter"
    for rationale in alone.values():
        assert isinstance(rationale, Rationale)
        assert 0 < rationale.usage["output"] <= 12
        assert rationale.outcome == ("truncated" if rationale.usage["output"] == 12 else "written")
        assert rationale.model == model


def test_sampling_follows_the_settings(model: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    drawn = write(tmp_path, model=model, sampling={"do_sample": True, "temperature": 3.0})
    assert drawn != write(tmp_path, model=model)


def test_a_prompt_that_does_not_fit_fails_alone(model: str, tmp_path: Path) -> None:
    template = TransformersWriter(model)._template
    copy = LoadedModel(model, "float32", "cpu")
    lengths = [
        len(copy.prompt(template.system, template.render(request.question)))
        for request in requests()
    ]
    found = write(tmp_path, model=model, max_length=min(lengths))
    failed = {q for q, result in found.items() if isinstance(result, Failure)}
    assert failed
    assert failed < set(found)


def test_results_are_cached_by_the_weights(model: str, tmp_path: Path) -> None:
    writer = TransformersWriter(model, max_tokens=4, accelerator="cpu", dtype="float32")
    asked = [Request(writer.key(r.question), r.question) for r in requests()]
    cache = Cache(tmp_path / "radio.sqlite")
    first = fill(writer, asked, cache, tmp_path / "failures.jsonl", "rationales")
    assert first["written"] + first["truncated"] == 7
    assert fill(writer, asked, cache, tmp_path / "failures.jsonl", "rationales") == {"cached": 7}
    longer = TransformersWriter(model, max_tokens=6, accelerator="cpu", dtype="float32")
    assert longer.key(asked[0].question) == asked[0].key
    again = fill(longer, asked, cache, tmp_path / "failures.jsonl", "rationales")
    assert again["cached"] == first["written"]


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write(tmp_path, model="./nowhere")
