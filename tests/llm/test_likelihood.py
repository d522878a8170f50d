"""Likelihoods of answers, against an oracle that reads one token at a time in double precision."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.llm.base import Call, Likelihood
from radio.llm.likelihood import Judged
from radio.llm.local import LoadedModel
from radio.llm.memory import shared_tokens
from radio.llm.transformers import TransformersModel
from radio.schema import InputError
from tests.llm.local_models import KINDS, WORDS, make_model, write_tokenizer

PROMPTS = ["Which lamp burns", "Which lamp burns in the tower because of fog?", "fog", ""]
ANSWERS = ["lamp 3", "the tower", "because of the fog lamp 12", ""]


def call(user: str, system: str = "") -> Call:
    return Call("k" * 64, "q1", system, lambda: user)


PAIRS = [(call(user), answer) for user in PROMPTS for answer in ANSWERS]


@pytest.fixture(scope="module", params=KINDS)
def model(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("model"), request.param)


def local(model: str, **options: Any) -> TransformersModel:
    return TransformersModel(model, **{"accelerator": "cpu", "dtype": "float64", **options})


@lru_cache(maxsize=1)
def loaded(model: str) -> LoadedModel:
    return LoadedModel(model, "float64", "cpu")


def oracle(model: str, call: Call, answer: str) -> Likelihood:
    """The probability of each token after all before it, each by a run of its own of one row
    without padding or memory of keys and values."""
    copy = loaded(model)
    tokens, _ = copy.answer(answer)
    total = 0.0
    for place, token in enumerate(tokens):
        total += float(next_logits(copy, call, answer, place).log_softmax(-1)[token])
    return Likelihood(total, len(tokens))


def contrasted_oracle(model: str, call: Call, plain: Call, answer: str, alpha: float) -> Likelihood:
    copy = loaded(model)
    tokens, _ = copy.answer(answer)
    total = 0.0
    for place, token in enumerate(tokens):
        with_passage = next_logits(copy, call, answer, place)
        without = next_logits(copy, plain, answer, place)
        mixed = with_passage + alpha * (with_passage - without)
        total += float(mixed.log_softmax(-1)[token])
    return Likelihood(total, len(tokens))


def next_logits(copy: LoadedModel, call: Call, answer: str, place: int) -> torch.Tensor:
    """Those after the prompt and the first tokens of an answer."""
    network = copy._network
    prompt = copy.prompt(call.system, call.user)
    tokens, first = copy.answer(answer)
    before = tokens[:place]
    if copy.is_decoder:
        row = torch.tensor([prompt + before])
        logits = network(input_ids=row, use_cache=False).logits
    else:
        start = [network.config.decoder_start_token_id, *first]
        logits = network(
            input_ids=torch.tensor([prompt]),
            decoder_input_ids=torch.tensor([start + before]),
            use_cache=False,
        ).logits
    assert logits.dtype == torch.float64
    last: torch.Tensor = logits[0, -1]
    return last


@pytest.fixture(scope="module")
@torch.inference_mode()
def expected(model: str) -> list[Likelihood]:
    return [oracle(model, call, answer) for call, answer in PAIRS]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-4)])
def test_a_likelihood_is_that_of_one_token_at_a_time_in_any_batch(
    batch_size: int, dtype: str, tolerance: float, model: str, expected: list[Likelihood]
) -> None:
    calls, answers = zip(*PAIRS, strict=True)
    found = local(model, batch_size=batch_size, dtype=dtype).log_likelihood(calls, answers)
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.total for one in found] == pytest.approx(
        [one.total for one in expected], rel=tolerance, abs=tolerance
    )
    assert len({round(one.total, 3) for one in expected}) > 8, "prompts and answers matter"


def test_two_devices_give_what_one_gives(model: str, expected: list[Likelihood]) -> None:
    calls, answers = zip(*PAIRS, strict=True)
    found = local(model, batch_size=2, devices=2).log_likelihood(calls, answers)
    assert [one.total for one in found] == pytest.approx([one.total for one in expected], abs=1e-9)


def judged(copy: LoadedModel, *asked: Judged, shared: int = 0) -> list[Likelihood]:
    """By the numbers of those who ask."""
    found = dict(copy.judge(asked, rows=8, shared=shared))
    return [found[number] for number in sorted(found)]


def one(copy: LoadedModel, user: str, text: str, number: int = 0) -> Judged:
    answer, first = copy.answer(text)
    return Judged(copy.prompt("", user), first, [], {tuple(answer): [number]})


def test_padding_of_any_id_and_width_changes_nothing(model: str) -> None:
    copy = LoadedModel(model, "float64", "cpu")
    short = one(copy, PROMPTS[0], "lamp 3")
    long = one(copy, PROMPTS[0] * 9, "lamp 3 burns in the tower", 1)
    (alone,) = judged(copy, short)
    for pad in (0, 5):
        copy._judge._pad = pad
        assert judged(copy, long, short)[0].total == pytest.approx(alone.total, abs=1e-9)


def test_the_probabilities_of_all_next_tokens_sum_to_one(model: str) -> None:
    copy = LoadedModel(model, "float64", "cpu")
    tokens = {(token,): [token] for token in range(len(copy.tokenizer))}
    found = judged(copy, Judged(copy.prompt("", PROMPTS[1]), copy.answer("lamp")[1], [], tokens))
    assert sum(torch.tensor([one.total for one in found]).exp()) == pytest.approx(1.0)


# Prompts that share


SYSTEM = "which lamp burns in the tower because of fog " * 3
SHARED = [
    (call(f"{shown} Which lamp burns?", SYSTEM), answer)
    for shown in ("fog", "the tower burns", "rationale 3 4 5", "question")
    # of different lengths, one of them twice, some of one token, and one that begins another
    for answer in ("lamp 3 burns", "lamp", "fog", "lamp 3", "lamp", "the tower because of 12 fog")
]


@pytest.fixture(scope="module")
@torch.inference_mode()
def shared_expected(model: str) -> list[Likelihood]:
    return [oracle(model, call, answer) for call, answer in SHARED]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_answers_that_share_their_prompt_are_judged_as_each_alone(
    batch_size: int, model: str, shared_expected: list[Likelihood]
) -> None:
    calls, answers = zip(*SHARED, strict=True)
    found = local(model, batch_size=batch_size).log_likelihood(calls, answers)
    assert [one.tokens for one in found] == [one.tokens for one in shared_expected]
    assert [one.total for one in found] == pytest.approx(
        [one.total for one in shared_expected], abs=1e-9
    )


def test_what_prompts_begin_with_is_remembered_from_batch_to_batch(
    model: str, shared_expected: list[Likelihood]
) -> None:
    made = local(model, batch_size=2)
    for part in (range(12), range(12, 24), range(6, 18)):
        calls, answers = zip(*[SHARED[number] for number in part], strict=True)
        found = made.log_likelihood(calls, answers)
        assert [one.total for one in found] == pytest.approx(
            [shared_expected[number].total for number in part], abs=1e-9
        )
    # another beginning in between, and none that is worth it
    other = [call(f"fog {call_.user}", "correct answer " * 9) for call_, _ in SHARED[::6]]
    texts = ["lamp 3"] * len(other)
    with torch.inference_mode():
        expected = [oracle(model, one, text).total for one, text in zip(other, texts, strict=True)]
    found = made.log_likelihood(other, texts)
    assert [one.total for one in found] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", ["decoder", "chat decoder", "absolute positions"])
def test_a_prompt_is_read_once_for_all_its_answers(kind: str, tmp_path: Path) -> None:
    made = local(make_model(tmp_path, kind), batch_size=4)
    calls, answers = zip(*SHARED, strict=True)
    (copy,) = made._copies.loaded()
    read: list[int] = []
    copy._network.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    made.log_likelihood(calls, answers)
    prompts = [copy.prompt(one.system, one.user) for one in calls[::6]]
    beginning = shared_tokens(prompts)
    rest = max(map(len, prompts)) - beginning
    # the beginning once; of each prompt the rest, with all but the last token of the longest of
    # its answers; and the others: "lamp 3 burns" and "lamp 3", the last token left out
    assert sum(read) == beginning + 4 * (rest + 5) + 4 * 2 + 4 * 1


def test_a_prompt_is_encoded_once_for_all_its_answers(tmp_path: Path) -> None:
    made = local(make_model(tmp_path, "encoder-decoder"), batch_size=4)
    calls, answers = zip(*SHARED[:6], strict=True)
    (copy,) = made._copies.loaded()
    lengths: list[int] = []
    copy._network.encoder.register_forward_hook(lambda *_: lengths.append(1))
    made.log_likelihood(calls, answers)
    # five distinct answers, four together at most
    assert lengths == [1]


def test_a_model_that_keeps_more_than_keys_and_values_reads_each_answer_with_its_prompt(
    tmp_path: Path,
) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    size = write_tokenizer(tmp_path, "decoder")
    torch.manual_seed(1)
    config = MistralConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        sliding_window=8,
    )
    network = MistralForCausalLM(config)
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and "embed" not in name:
            parameter.data *= 25
    network.save_pretrained(tmp_path)
    model = str(tmp_path)
    assert LoadedModel(model, "float64", "cpu")._can_share is False
    calls, answers = zip(*SHARED, strict=True)
    found = local(model, batch_size=5).log_likelihood(calls, answers)
    with torch.inference_mode():
        expected = [oracle(model, call, answer).total for call, answer in SHARED]
    assert [one.total for one in found] == pytest.approx(expected, abs=1e-9)


# Prompts that are contrasted


@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_a_contrasted_likelihood_is_that_of_one_token_at_a_time(
    alpha: float, batch_size: int, model: str
) -> None:
    cases = [
        (call(f"{shown} {question}", SYSTEM), call(question, "correct answer"), answer)
        for question in ("Which lamp burns?", "the fog")
        for shown in ("fog 3", "the tower burns", "rationale")
        for answer in ("lamp 3 burns", "lamp", "", "because of fog")
    ]
    calls, plain, answers = zip(*cases, strict=True)
    found = local(model, batch_size=batch_size).contrasted_log_likelihood(
        calls, plain, answers, alpha
    )
    with torch.inference_mode():
        expected = [contrasted_oracle(model, *case, alpha) for case in cases]
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.total for one in found] == pytest.approx([one.total for one in expected], abs=1e-9)
    if alpha == 0:
        alone = local(model).log_likelihood(calls, answers)
        assert [one.total for one in found] == pytest.approx([one.total for one in alone])


def test_what_the_model_cannot_read_whole_is_refused(model: str) -> None:
    with pytest.raises(InputError, match=r"question 'q1': the prompt has \d+ tokens, more than"):
        local(model, max_length=8).log_likelihood([call(WORDS)], ["lamp"])


def test_an_answer_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path, "decoder")
    with pytest.raises(InputError, match="more than the 512 positions"):
        local(model).log_likelihood([call("fog " * 500)], ["lamp " * 20])
