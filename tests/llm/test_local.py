"""How a local model reads prompts, answers and beginnings of texts; adapters and GGUF files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.llm.local import LoadedModel, Prompts
from radio.schema import InputError
from tests.llm.local_models import KINDS, make_model
from tests.rerankers.test_yes_no import make_decoder

TEXTS = [
    "The tower's lamp: burns because of fog!",
    "  two  blanks and\na line ",
    "naïve Zürich — 東京 🗼 lamp",
    "",
]


@pytest.fixture(scope="module")
def by_bytes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A decoder whose tokens are bytes, several for one character."""
    return make_decoder(tmp_path_factory.mktemp("bytes"), "qwen3")


@pytest.fixture(scope="module", params=KINDS)
def prompts(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Prompts:
    return Prompts(make_model(tmp_path_factory.mktemp("model"), request.param))


def check_beginnings(prompts: Prompts, text: str) -> None:
    whole = len(prompts._ids(text))
    for count in range(whole + 2):
        first = prompts.first_tokens(text, count)
        assert text.startswith(first)
        assert len(prompts._ids(first)) <= count
    assert prompts.first_tokens(text, whole + 1) == text
    assert prompts.first_tokens(text, 0) == ""


@pytest.mark.parametrize("text", TEXTS)
def test_the_beginning_of_a_text_is_unaltered_and_no_longer_than_asked(
    text: str, prompts: Prompts, by_bytes: str
) -> None:
    check_beginnings(prompts, text)
    check_beginnings(Prompts(by_bytes), text)


def test_no_character_is_cut_in_half(by_bytes: str) -> None:
    made = Prompts(by_bytes)
    tower = "🗼" * 3
    width = len(made._ids("🗼"))
    assert width > 1
    assert made.first_tokens(tower, 2 * width + 1) == "🗼" * 2


def test_a_prompt_begins_once_and_never_with_nothing(prompts: Prompts) -> None:
    tokenizer = prompts.tokenizer
    for user in ("which lamp", ""):
        tokens = prompts.prompt("", user)
        assert tokens
        assert tokens.count(tokenizer.bos_token_id) <= 1
        if prompts.is_decoder and not user:
            continue
        if prompts.is_decoder:
            assert tokens[-1] != tokenizer.eos_token_id, "the text would be over"


def test_a_tokenizer_that_has_nothing_to_begin_with_is_named(by_bytes: str) -> None:
    made = Prompts(by_bytes)
    assert made.prompt("", "") == [made.tokenizer.bos_token_id]
    made.tokenizer.bos_token = None
    with pytest.raises(InputError, match="neither bos_token nor eos_token"):
        made.prompt("", "")


def test_control_tokens_in_a_text_are_characters(prompts: Prompts) -> None:
    if not prompts.is_decoder:
        return
    tokens = prompts.prompt("", "fog <eos> lamp <bos>")
    assert prompts.tokenizer.eos_token_id not in tokens
    assert tokens.count(prompts.tokenizer.bos_token_id) <= 1


def test_an_answer_of_a_base_model_begins_with_a_blank_and_that_of_a_chat_does_not(
    by_bytes: str,
) -> None:
    made = Prompts(by_bytes)
    decode = made.tokenizer.decode
    assert decode(made.answer("fog")[0]) == decode(made.answer(" fog")[0]) == " fog"
    assert made.answer("") == ([], [])
    made.tokenizer.chat_template = "{{ messages[0].content }}"
    assert decode(made.answer("fog")[0]) == "fog"


def test_what_a_decoder_has_before_any_answer_is_no_part_of_it(tmp_path: Path) -> None:
    made = Prompts(make_model(tmp_path, "begun decoder"))
    tokens, first = made.answer("the fog")
    assert first == [made.tokenizer.bos_token_id]
    assert made.tokenizer.convert_ids_to_tokens(tokens) == ["the", "fog"]


@pytest.mark.parametrize("has_bf16", [True, False])
def test_the_number_format_follows_the_instructions_that_the_cpu_has(
    has_bf16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path, "decoder")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    assert LoadedModel(model, "auto", "cpu")._network.dtype == (
        torch.bfloat16 if has_bf16 else torch.float32
    )


def test_an_adapter_is_added_to_the_weights(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="the extra `lora` is not installed")
    from transformers import AutoModelForCausalLM

    model = make_model(tmp_path / "model", "decoder")
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    tuned = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    tuned.save_pretrained(tmp_path / "adapter")
    loaded = LoadedModel(model, "float32", "cpu", adapter=str(tmp_path / "adapter"))
    ids = torch.tensor([loaded.prompt("", "which lamp")])
    with torch.inference_mode():
        expected = tuned.eval()(input_ids=ids).logits
        torch.testing.assert_close(loaded._network(input_ids=ids).logits, expected)
        plain = LoadedModel(model, "float32", "cpu")._network(input_ids=ids).logits
    assert (plain - expected).abs().max() > 1e-3


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="the extra `lora` is not installed")
    from transformers import AutoModelForCausalLM

    other = make_model(tmp_path / "other", "absolute positions")
    config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    tuned = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(other), config)
    tuned.save_pretrained(tmp_path / "adapter")
    model = make_model(tmp_path / "model", "decoder")
    with pytest.raises(InputError, match="adapter' cannot be loaded"):
        LoadedModel(model, "float32", "cpu", adapter=str(tmp_path / "adapter"))


def test_a_gguf_file_needs_its_package_and_has_to_be_there(tmp_path: Path) -> None:
    if importlib.util.find_spec("gguf") is None:
        with pytest.raises(InputError, match=r"pip install 'radio-rag\[gguf\]'"):
            Prompts(str(tmp_path), "a.gguf")
        return
    (tmp_path / "b.gguf").write_text("no such file")
    with pytest.raises(InputError, match=r"found 'a.gguf', expected one of .*: b.gguf"):
        Prompts(str(tmp_path), "a.gguf")
    with pytest.raises(InputError, match="no GGUF file"):
        Prompts(str(tmp_path), "b.gguf")
