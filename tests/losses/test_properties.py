"""What losses of several families share beyond the contract: their units."""

from __future__ import annotations

import pytest
import torch

from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    InfoNCE,
    JensenShannon,
    KLDivergence,
    ListNet,
    Loss,
    NeuralNDCG,
    PairwiseLogistic,
)
from tests.losses.cases import MASK, random_lists

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "kind",
    [
        ADRMSE,
        ApproxNDCG,
        InfoNCE,
        JensenShannon,
        KLDivergence,
        ListNet,
        NeuralNDCG,
        PairwiseLogistic,
    ],
)
@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_scaling_scores_and_temperature_together_changes_nothing(
    kind: type[Loss], factor: float
) -> None:
    scores, targets = random_lists()
    value = kind(temperature=0.7)(scores, targets, MASK)
    torch.testing.assert_close(
        kind(temperature=0.7 * factor)(factor * scores, targets, MASK), value
    )
