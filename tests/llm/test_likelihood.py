"""Likelihoods of answers, against an oracle that reads one token at a time in double precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from radio.llm.base import Call, Likelihood
from radio.llm.likelihood import Judged, log_likelihoods
from radio.llm.local import LoadedModel
from radio.llm.transformers import TransformersModel
from radio.schema import InputError
from tests.llm.local_models import KINDS, WORDS, make_model

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


def oracle(model: str, call: Call, answer: str) -> Likelihood:
    """The probability of each token after all before it, each by a run of its own of one row
    without padding or memory of keys and values."""
    copy = LoadedModel(model, "float64", "cpu")
    network = copy._network
    prompt = copy.prompt(call.system, call.user)
    tokens, first = copy.answer(answer)
    total = 0.0
    for place, token in enumerate(tokens):
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
        total += float(logits[0, -1].log_softmax(-1)[token])
    return Likelihood(total, len(tokens))


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


def test_padding_of_any_id_and_width_changes_nothing(model: str) -> None:
    copy = LoadedModel(model, "float64", "cpu")
    pair = Judged(copy.prompt("", PROMPTS[0]), *copy.answer("lamp 3"))
    long = Judged(copy.prompt("", PROMPTS[0] * 9), *copy.answer("lamp 3 burns in the tower"))
    alone = log_likelihoods(copy._network, [pair], copy.is_decoder, 0)[0]
    for pad in (0, 5):
        beside = log_likelihoods(copy._network, [long, pair], copy.is_decoder, pad)[1]
        assert beside.total == pytest.approx(alone.total, abs=1e-9)


def test_the_probabilities_of_all_next_tokens_sum_to_one(model: str) -> None:
    copy = LoadedModel(model, "float64", "cpu")
    prompt = copy.prompt("", PROMPTS[1])
    first = copy.answer("lamp")[1]
    pairs = [Judged(prompt, [token], first) for token in range(len(copy.tokenizer))]
    found = log_likelihoods(copy._network, pairs, copy.is_decoder, 0)
    assert sum(torch.tensor([one.total for one in found]).exp()) == pytest.approx(1.0)


def test_what_the_model_cannot_read_whole_is_refused(model: str) -> None:
    with pytest.raises(InputError, match=r"question 'q1': the prompt has \d+ tokens, more than"):
        local(model, max_length=8).log_likelihood([call(WORDS)], ["lamp"])


def test_an_answer_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path, "decoder")
    with pytest.raises(InputError, match="more than the 512 positions"):
        local(model).log_likelihood([call("fog " * 500)], ["lamp " * 20])
