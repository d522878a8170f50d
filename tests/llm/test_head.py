"""The head in fp32: likelihoods are no steps of sixteen bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from radio.llm.head import ExactHead
from radio.llm.local import LoadedModel
from radio.models.onednn import LaidOut
from tests.llm.local_models import KINDS, make_model


@pytest.fixture(scope="module", params=KINDS)
def model(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(tmp_path_factory.mktemp("model"), request.param)


def test_the_head_of_a_loaded_model_computes_in_fp32_while_it_judges(model: str) -> None:
    loaded = LoadedModel(model, "bfloat16", "cpu")
    network: Any = loaded._network
    head = network.get_output_embeddings()
    hidden = torch.randn(3, head.in_features, dtype=torch.bfloat16)
    weight = loaded._head._weight
    assert weight is not None
    with torch.inference_mode():
        coarse = head(hidden)
        with loaded._head.computed():
            exact = head(hidden)
        assert torch.equal(head(hidden), coarse)
    assert coarse.dtype == torch.bfloat16
    assert exact.dtype == torch.float32
    torch.testing.assert_close(exact, linear(hidden.double(), weight.double()).float())


def test_a_head_that_is_exact_or_of_another_kind_is_left_alone(model: str) -> None:
    loaded = LoadedModel(model, "float32", "cpu")
    head = loaded._network.get_output_embeddings()
    with loaded._head.computed():
        assert not head._forward_hooks


class Network:
    """A network that has nothing but a head."""

    def __init__(self, head: nn.Module) -> None:
        self._head = head

    def get_output_embeddings(self) -> nn.Module:
        return self._head


def test_a_bias_is_added_and_a_layout_of_its_own_does_no_harm() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(8, 40_000).bfloat16()
    network = Network(layer)
    exact = ExactHead(network)
    hidden = torch.randn(2, 8, dtype=torch.bfloat16)
    expected = linear(hidden.float(), layer.weight.float(), layer.bias.float())
    for head in (layer, LaidOut(layer)):
        network._head = head
        with torch.inference_mode(), exact.computed():
            exactly = head(hidden)
            torch.testing.assert_close(exactly, expected)
            # in sixteen bits most of them would be equal to others
            assert len(exactly.unique()) > 5 * len(exactly.bfloat16().unique())
