"""Losses against lightning-ir's own code: same values, same gradients, or a known relation.

Its losses read two tensors of equal length, without a mask: one question at a time. Where it is not
installed (``pip install lightning-ir``), these tests are skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    InfoNCE,
    KLDivergence,
    MarginMSE,
    PairwiseLogistic,
    RankNet,
)
from tests.losses.peers import Peer, assert_equal, padded, ragged

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lir(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Peer]:
    with pytest.MonkeyPatch.context() as patch:
        # both act at import: folders in the home directory, a switch for tokenizers, the working
        # directory as a path
        patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("ir_datasets")))
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setattr(sys, "path", list(sys.path))
        module = pytest.importorskip("lightning_ir.loss", exc_type=ImportError)

    def peer(name: str, *args: Any, **options: Any) -> Peer:
        def call(scores: list[Tensor], targets: list[Tensor]) -> Tensor:
            output, batch = (
                SimpleNamespace(scores=torch.stack(scores)),
                SimpleNamespace(targets=torch.stack(targets)),
            )
            value: Tensor = getattr(module, name)(*args, **options).compute_loss(output, batch)
            return value

        return call

    return peer


@pytest.mark.parametrize("kind", ["distinct", "tied", "binary"])
def test_lightning_ir_rank_net(lir: Callable[..., Peer], kind: str) -> None:
    # per question: the peer takes the mean over the pairs of the whole batch
    for question in ragged(kind):
        assert_equal(RankNet(), lir("RankNet"), [question])
        # its temperature multiplies the scores: the reverse of what the word means
        assert_equal(
            PairwiseLogistic(temperature=0.5, weighted=False),
            lir("RankNet", temperature=2),
            [question],
        )


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("kind", ["distinct", "tied"])
def test_lightning_ir_margin_mse(lir: Callable[..., Peer], kind: str) -> None:
    for question in ragged(kind):
        assert_equal(MarginMSE(), lir("SupervisedMarginMSE"), [question])
    for question in ragged("binary"):
        assert_equal(MarginMSE(scale=3.0), lir("ConstantMarginMSE", 3.0), [question])


def test_lightning_ir_losses_of_whole_lists(lir: Callable[..., Peer]) -> None:
    batch = ragged(lengths=(6, 6, 6, 6))
    for lists in (*([question] for question in ragged()), batch):
        assert_equal(KLDivergence(), lir("KLDivergence"), lists)
        assert_equal(InfoNCE(), lir("InfoNCE"), lists)
        for temperature in (1.0, 0.3):
            assert_equal(ApproxNDCG(temperature), lir("ApproxNDCG", temperature), lists)
            assert_equal(
                ADRMSE(temperature), lir("ApproxRankMSE", temperature, discount="log2"), lists
            )


def test_lightning_ir_takes_ties_in_the_order_in_which_they_come(lir: Callable[..., Peer]) -> None:
    # both peers depart: their value depends on the order of the items; ours takes all positives,
    # and mean ranks
    scores, targets = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.8, 0.8, 0.1])
    swapped = torch.tensor([1, 0, 2])
    for ours, peer in (
        (InfoNCE(), lir("InfoNCE")),
        (ADRMSE(), lir("ApproxRankMSE", discount="log2")),
    ):
        here = [float(f([scores], [targets])) for f in (padded(ours), peer)]
        there = [float(f([scores[swapped]], [targets[swapped]])) for f in (padded(ours), peer)]
        assert here[0] == pytest.approx(there[0])
        assert abs(here[1] - there[1]) > 0.1
        if isinstance(ours, InfoNCE):  # the mean over the positives that the peer picks from
            assert here[0] == pytest.approx((here[1] + there[1]) / 2)
