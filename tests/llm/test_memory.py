"""Keys and values that are kept and repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from radio.llm.local import LoadedModel
from radio.llm.memory import (
    WORTH_SHARING,
    Beginning,
    can_share,
    positions_of,
    repeated,
    shared_tokens,
)
from tests.llm.local_models import make_model


def test_prompts_share_what_all_begin_with_and_keep_a_token_each() -> None:
    assert shared_tokens([[1, 2, 3], [1, 2, 4, 5], [1, 2, 3, 9]]) == 2
    assert shared_tokens([[1, 2], [1, 2]]) == 1
    assert shared_tokens([[1, 2]]) == 0
    assert shared_tokens([[1], [2]]) == 0


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return LoadedModel(make_model(tmp_path_factory.mktemp("model"), "decoder"), "float64", "cpu")


def test_rows_can_be_taken_several_times_and_the_memory_stays_as_it_is(copy: LoadedModel) -> None:
    memory = DynamicCache(config=copy._network.config)
    ids = torch.tensor([[4, 5, 6], [7, 8, 9]])
    with torch.inference_mode():
        copy._network(input_ids=ids, past_key_values=memory, use_cache=True)
        found = repeated(copy._network, memory, [1, 0, 1])
        before = [layer.keys.clone() for layer in memory.layers]
        copy._network(input_ids=torch.tensor([[4]] * 3), past_key_values=found, use_cache=True)
    for layer, old, kept in zip(found.layers, memory.layers, before, strict=True):
        assert torch.equal(layer.keys[:, :, :3], old.keys[[1, 0, 1]])
        assert torch.equal(layer.values[:, :, :3], old.values[[1, 0, 1]])
        assert layer.keys.shape[2] == 4
        assert torch.equal(old.keys, kept)


def test_a_beginning_is_read_once_as_long_as_it_stays_the_same(copy: LoadedModel) -> None:
    read: list[int] = []
    handle = copy._network.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    beginning = Beginning(copy._network, torch.device("cpu"))
    tokens = list(range(4, 4 + WORTH_SHARING))
    with torch.inference_mode():
        for rows in (1, 3, 2):
            memory, length = beginning.start(tokens, rows)
            assert memory.layers[0].keys.shape[0] == rows
            assert memory.get_seq_length() == length == WORTH_SHARING
        memory, length = beginning.start(tokens[:-1], 3)
        assert memory.get_seq_length() == length == 0, "too few to be worth it"
        beginning.start([*tokens, 3], 1)
    handle.remove()
    assert read == [WORTH_SHARING, WORTH_SHARING + 1]


def test_padding_has_no_positions() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 0, 1, 1]])
    assert positions_of(mask, 3).tolist() == [[0, 1, 2], [1, 2, 3]]


def test_only_a_model_of_keys_and_values_alone_can_share(copy: LoadedModel, tmp_path: Path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    assert can_share(copy._network)
    config = MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, state_size=4)
    assert not can_share(MambaForCausalLM(config))
