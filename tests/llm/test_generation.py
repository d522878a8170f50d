"""Writing in batches: what plain transformers writes for each prompt alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from radio.llm.generation import generate
from radio.llm.local import LoadedModel
from radio.llm.memory import WORTH_SHARING, shared_tokens
from tests.llm.local_models import WRITERS, make_model

START = "which lamp burns in the tower because of fog " * 2
USERS = [f"{START} {'fog ' * n} {n}" for n in range(9)]


@pytest.fixture(scope="module", params=WRITERS)
def copy(request: Any, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    model = make_model(tmp_path_factory.mktemp("model"), request.param)
    return LoadedModel(model, "float64", "cpu")


def plainly(copy: LoadedModel, prompt: Sequence[int], max_tokens: int) -> list[int]:
    """The answer's tokens by transformers' own ``generate``, of one prompt without padding."""
    made = copy._network.generate(
        torch.tensor([prompt]), max_new_tokens=max_tokens, do_sample=False, pad_token_id=0
    )[0].tolist()
    answer: list[int] = made[len(prompt) :] if copy.is_decoder else made[1:]
    return answer


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_a_batch_with_a_shared_beginning_writes_what_each_prompt_gets_alone(
    rows: int, copy: LoadedModel
) -> None:
    prompts = [copy.prompt("", user) for user in USERS]
    shared = shared_tokens(prompts)
    assert shared >= WORTH_SHARING
    # a token that some answers have and others have not ends a row: it leaves the batch early
    whole = [plainly(copy, prompt, 14) for prompt in prompts]
    end = next(t for t in whole[0] if 0 < sum(t in answer for answer in whole) < len(whole))
    copy._ends = {end, 1}
    expected = []
    for answer in whole:
        cut = next((n for n, token in enumerate(answer) if token in (end, 1)), len(answer))
        expected.append(answer[:cut])
    assert len(set(map(len, expected))) > 1, "rows end at different times"
    texts, lengths = [], []
    for start in range(0, len(prompts), rows):
        for reply in copy.generate(prompts[start : start + rows], 14, {}, shared=shared):
            texts.append(reply.text)
            lengths.append(reply.usage["output"])
    assert lengths == list(map(len, expected))
    assert texts == [copy.tokenizer.decode(a, skip_special_tokens=True).strip() for a in expected]


def test_sampling_of_one_token_is_greedy_too(copy: LoadedModel) -> None:
    prompts = [copy.prompt("", user) for user in USERS]
    drawn = copy.generate(prompts, 8, {"do_sample": True, "top_k": 1})
    assert [r.text for r in drawn] == [r.text for r in copy.generate(prompts, 8, {})]


def test_a_row_that_has_ended_is_cut_where_it_ended(copy: LoadedModel) -> None:
    prompts = [copy.prompt("", user) for user in USERS[:3]]
    found = generate(
        copy._network,
        prompts,
        is_decoder=copy.is_decoder,
        pad=0,
        is_over=lambda tokens: len(tokens) >= 3,
        max_new_tokens=9,
        do_sample=False,
    )
    assert [len(answer) for answer in found] == [3, 3, 3]


def test_a_sampling_that_the_folder_recommends_is_no_part_of_a_greedy_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import GenerationConfig

    model = make_model(tmp_path, "decoder")
    before = LoadedModel(model, "float32", "cpu")
    prompts = [before.prompt("", user) for user in USERS]
    expected = [reply.text for reply in before.generate(prompts, 12, {})]
    folder = GenerationConfig.from_pretrained(model)
    folder.update(do_sample=True, temperature=9.0, top_p=0.3, repetition_penalty=5.0)
    folder.update(max_new_tokens=1, eos_token_id=[1, 4])
    folder.save_pretrained(model)
    capfd.readouterr()
    after = LoadedModel(model, "float32", "cpu")
    assert after._ends == {1, 4}, "which tokens end an answer is the model's"
    after._ends = {1}
    assert [reply.text for reply in after.generate(prompts, 12, {})] == expected
    greedy = generate(
        after._network,
        prompts,
        is_decoder=True,
        pad=0,
        is_over=lambda t: t[-1] == 1,
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=1,
    )
    assert [after.tokenizer.decode(a, skip_special_tokens=True).strip() for a in greedy] == expected
    assert "generation flags" not in capfd.readouterr().err
