"""Linear layers in oneDNN's layout give what they gave before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from radio.models.limits import computes_in_bf16
from radio.models.onednn import LaidOut, lay_out


class Two(nn.Module):
    """A head that shares its weights with the embeddings, and a layer without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(40, 16)
        self.inner = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16, bias=False))
        self.head = nn.Linear(16, 40, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.inner(self.words(ids)))
        return found


@pytest.mark.parametrize("rows", [1, 3, 700])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_network_gives_what_it_gave_before(rows: int, dtype: torch.dtype) -> None:
    network = Two().to(dtype)
    before = copy.deepcopy(network)
    lay_out(network)
    known = dtype == torch.float32 or (dtype == torch.bfloat16 and computes_in_bf16("cpu"))
    laid_out = [module for module in network.modules() if isinstance(module, LaidOut)]
    assert len(laid_out) == (3 if known and torch.backends.mkldnn.is_available() else 0)
    ids = torch.arange(rows * 2).reshape(rows, 2) % 40
    with torch.inference_mode():
        torch.testing.assert_close(network(ids), before(ids), rtol=2e-2, atol=2e-2)
        if dtype != torch.bfloat16:
            torch.testing.assert_close(network(ids), before(ids), rtol=1e-5, atol=1e-5)


def test_bf16_is_left_alone_where_the_processor_does_not_compute_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    network = Two().to(torch.bfloat16)
    lay_out(network)
    assert not any(isinstance(module, LaidOut) for module in network.modules())
