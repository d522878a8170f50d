"""Losses against the code of allRank, by the authors of NeuralNDCG: same values and gradients.

Its padding is a target of -1. Where it is not installed (``pip install --no-deps allRank``: its
pins are of 2021, and only its losses are imported), these tests are skipped.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ApproxNDCG,
    LambdaLoss,
    ListMLE,
    ListNet,
    NeuralNDCG,
    RankNet,
)
from tests.losses.peers import Peer, assert_equal, ragged

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def allrank() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "torchvision",
            "torchvision.transforms",
            "gcsfs",
        ):  # for its data, which are not read here
            stub: Any = ModuleType(name)
            stub.Compose = stub.GCSFileSystem = object
            stub.transforms = stub
            patch.setitem(sys.modules, name, stub)
        pytest.importorskip("allrank.models.losses", exc_type=ImportError)
        return importlib.import_module("allrank.models.losses")


def all_rank(function: Callable[..., Tensor], **options: Any) -> Peer:
    def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
        pad = torch.nn.utils.rnn.pad_sequence
        labels = pad(targets, batch_first=True, padding_value=-1)
        return function(pad(scores, batch_first=True), labels, **options)

    return call


def test_all_rank_neural_ndcg(allrank: ModuleType) -> None:
    for temperature in (2.0, 5.0):
        # the peer's value is -NDCG, and its scaling stops at a tolerance: both have converged here
        loss = NeuralNDCG(temperature, iterations=100)
        for lists in (*([question] for question in ragged()), ragged()):
            assert_equal(
                loss, all_rank(allrank.neuralNDCG, temperature=temperature), lists, offset=1.0
            )


def test_all_rank_approx_ndcg(allrank: ModuleType) -> None:
    for lists in (*([question] for question in ragged()), ragged(lengths=(6, 6, 6))):
        assert_equal(
            ApproxNDCG(0.5), all_rank(allrank.approxNDCGLoss, alpha=2.0), lists, offset=1.0
        )


def test_all_rank_lists(allrank: ModuleType) -> None:
    for lists in (*([question] for question in ragged()), ragged(lengths=(6, 6, 6))):
        assert_equal(ListMLE(), all_rank(allrank.listMLE), lists)
        assert_equal(ListNet(), all_rank(allrank.listNet), lists)


def test_all_rank_pairs(allrank: ModuleType) -> None:
    schemes = {
        "ndcg_loss2": "ndcgLoss2_scheme",
        "lambda_rank": "lambdaRank_scheme",
        "ndcg_loss2++": "ndcgLoss2PP_scheme",
        "none": "rankNet_scheme",
    }
    for question in ragged():
        assert_equal(RankNet(), all_rank(allrank.rankNet), [question])
        for weighting, scheme in schemes.items():
            peer = all_rank(allrank.lambdaLoss, weighing_scheme=scheme)
            assert_equal(LambdaLoss(weighting), peer, [question])  # type: ignore[arg-type]
