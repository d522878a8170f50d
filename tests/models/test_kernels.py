"""Layers through oneDNN: the numbers of transformers' own, and only where they are."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from radio.models import kernels, onednn, packing

LENGTHS = [37, 20, 9, 1]


def encoder(kind: str = "bert", **settings: Any) -> Any:
    """A random encoder of three layers that takes sequences end to end."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 99}
    config = AutoConfig.for_model(
        kind, num_hidden_layers=3, max_position_embeddings=80, pad_token_id=0, **sizes, **settings
    )
    network = AutoModel.from_config(config).eval()
    for weight in network.parameters():
        # far from the small weights of a start, in which an error would hide
        nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(weight, 1, 0.3)
    assert packing.enable(network, first_token_only=True)
    return network


def row(lengths: Sequence[int] = LENGTHS) -> packing.Row:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(5, 99, (length,), generator=generator).tolist() for length in lengths]
    return packing.pack({"input_ids": ids, "token_type_ids": [[0] * len(i) for i in ids]})


def first_tokens(network: Any, tokens: packing.Row) -> Tensor:
    """``[N, H]`` in the order of the sequences."""
    if network.config.model_type == "roberta":
        tokens = {name: flat for name, flat in tokens.items() if name != "token_type_ids"}
    outputs = packing.run(network, tokens)
    return torch.cat([output.last_hidden_state[:, 0] for output, _ in outputs])[tokens["where"]]


def own(network: Any, tokens: packing.Row, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """As transformers computes the layers."""
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "can_compute", lambda layer, hidden: False)
        return first_tokens(network, tokens)


def takes(network: Any) -> list[bool]:
    """For each layer, whether it is computed here."""
    hidden = torch.zeros(1, 1, network.config.hidden_size)
    return [kernels.can_compute(layer, hidden) for layer in network.encoder.layer]


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra", "camembert"])
def test_fp32_is_that_of_transformers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = encoder(kind)
    with torch.no_grad():
        assert takes(network) == [True] * 3
        expected = own(network, row(), monkeypatch)
        torch.testing.assert_close(first_tokens(network, row()), expected, rtol=1e-5, atol=1e-5)


def test_all_tokens_where_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    network = encoder()
    packing.enable(network, first_token_only=False)
    with torch.no_grad():
        made = next(packing.run(network, row()))[0].last_hidden_state
        monkeypatch.setattr(kernels, "can_compute", lambda layer, hidden: False)
        expected = next(packing.run(network, row()))[0].last_hidden_state
    assert made.shape == (1, sum(LENGTHS), 32)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)


def test_bf16_is_as_near_to_fp32_as_that_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    # the instructions may be absent: oneDNN then computes the same, slowly
    monkeypatch.setattr(onednn, "computes_in_bf16", lambda kind: True)
    network = encoder()
    with torch.no_grad():
        exact = first_tokens(network, row())
        with torch.autocast("cpu", torch.bfloat16):
            theirs = own(network, row(), monkeypatch).float()
            ours = first_tokens(network, row()).float()
    assert not torch.equal(ours, exact)
    assert (ours - exact).abs().mean() < 1.5 * (theirs - exact).abs().mean()


def test_without_instructions_for_bf16_the_layer_computes_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onednn, "computes_in_bf16", lambda kind: False)
    network = encoder()
    with torch.no_grad():
        assert takes(network) == [True] * 3
        with torch.autocast("cpu", torch.bfloat16):
            assert takes(network) == [False] * 3
        with torch.autocast("cpu", torch.float16):
            assert takes(network) == [False] * 3


def test_a_sequence_has_the_same_numbers_alone_and_in_any_company() -> None:
    network = encoder()
    with torch.no_grad():
        together = first_tokens(network, row())
        generator = torch.Generator().manual_seed(1)
        for number, length in enumerate(LENGTHS):
            ids = torch.randint(5, 99, (length,), generator=generator).tolist()
            tokens = packing.pack({"input_ids": [ids], "token_type_ids": [[0] * length]})
            alone = first_tokens(network, tokens)[0]
            torch.testing.assert_close(alone, together[number], rtol=1e-5, atol=1e-5)


def test_weights_that_change_are_laid_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    network = encoder()
    with torch.no_grad():
        before = first_tokens(network, row())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    first_tokens(network, row()).sum().backward()
    optimizer.step()
    with torch.no_grad():
        after = first_tokens(network, row())
        assert not torch.allclose(after, before, atol=1e-3)
        torch.testing.assert_close(after, own(network, row(), monkeypatch), rtol=1e-4, atol=1e-4)
        # as adapters are merged: no version tells of it
        network.encoder.layer[1].attention.output.dense.weight.data *= -1
        merged = first_tokens(network, row())
        assert not torch.allclose(merged, after, atol=1e-3)
        torch.testing.assert_close(merged, own(network, row(), monkeypatch), rtol=1e-4, atol=1e-4)
        # as a checkpoint is loaded
        network.load_state_dict(encoder().state_dict())
        torch.testing.assert_close(first_tokens(network, row()), before, rtol=1e-5, atol=1e-5)


def test_a_step_of_training_is_computed_by_the_layer_and_frees_the_room() -> None:
    network = encoder()
    with torch.no_grad():
        first_tokens(network, row())
    assert all(layer in kernels.prepared for layer in network.encoder.layer)
    first_tokens(network, row()).sum().backward()
    assert network.encoder.layer[0].attention.self.query.weight.grad is not None
    assert not any(layer in kernels.prepared for layer in network.encoder.layer)


def test_what_it_does_not_know_is_left_to_the_layer() -> None:
    class Adapter(nn.Module):
        """As peft's: all of its weights are in plain linear layers."""

        def __init__(self, base: nn.Linear) -> None:
            super().__init__()
            self.base_layer, self.lora_B = base, nn.Linear(4, 32)
            self.weight = base.weight

    adapted = encoder()
    heads = adapted.encoder.layer[1].attention.self
    heads.query = Adapter(heads.query)
    watched = encoder()
    watched.encoder.layer[2].output.dense.register_forward_hook(lambda *args: None)
    with torch.no_grad():
        assert takes(adapted) == [True, False, True]
        assert takes(watched) == [True, True, False]
        assert takes(encoder(hidden_act="relu")) == [False] * 3
        assert takes(encoder().train()) == [False] * 3
        assert takes(encoder().half()) == [True] * 3  # of hidden states in fp32


def test_the_layouts_are_in_no_state_and_no_copy() -> None:
    network = encoder()
    names = set(network.state_dict())
    with torch.inference_mode():
        made = first_tokens(network, row())
    assert set(network.state_dict()) == names
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin.encoder.layer[0].output.dense.weight.zero_()
        assert not torch.allclose(first_tokens(twin, row()), made, atol=1e-3)
        torch.testing.assert_close(first_tokens(network, row()), made, rtol=1e-5, atol=1e-5)
