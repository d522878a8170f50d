"""What is trained, what of it is decayed, and how the learning rate rises and falls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from radio.rerankers import CrossEncoder, Reranker, optimisation
from radio.schema import InputError
from tests.rerankers.test_base import ready


def optimised(reranker: Reranker, steps: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    trainer = SimpleNamespace(estimated_stepping_batches=steps)
    monkeypatch.setattr(type(reranker), "trainer", trainer)
    return optimisation.adamw(reranker)


def test_matrices_are_decayed_and_what_is_frozen_is_left_out(
    tiny_bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = ready(CrossEncoder, tiny_bert, freeze=["embeddings"], weight_decay=0.3)
    optimizer = optimised(reranker, 10, monkeypatch)["optimizer"]
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in plain["params"]} == {1}
    names = {id(parameter): name for name, parameter in reranker.named_parameters()}
    optimised_names = [names[id(p)] for p in [*decayed["params"], *plain["params"]]]
    assert len(optimised_names) > 10
    assert not any("embeddings" in name for name in optimised_names)


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (0.0, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        (0.5, [1 / 3, 2 / 3, 1.0, 0.5, 0.0, 0.0]),
    ],
)
def test_the_rate_rises_to_its_peak_and_falls_to_0(
    warmup: float, expected: list[float], tiny_bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = ready(CrossEncoder, tiny_bert, lr=0.5, warmup_ratio=warmup)
    configured = optimised(reranker, 4, monkeypatch)
    scheduler = configured["lr_scheduler"]["scheduler"]
    assert configured["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in expected:
        rates.append(scheduler.get_last_lr()[0])
        configured["optimizer"].step()
        scheduler.step()
    assert rates == pytest.approx([0.5 * share for share in expected])


def test_nothing_left_to_train_is_refused() -> None:
    module = CrossEncoder("plain", freeze=["*"])
    with pytest.raises(InputError, match=r"freeze: \* leaves nothing to train"):
        optimisation.choose_trained(module, torch.nn.Linear(2, 1))
