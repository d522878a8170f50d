"""Pairwise losses: the hard teacher is the limit of the soft one."""

from __future__ import annotations

import pytest
import torch

from radio.losses import (
    RankNet,
)
from tests.losses.cases import MASK, random_lists

pytestmark = pytest.mark.usefixtures("one_thread")


def test_soft_ranknet_tends_to_the_hard_one() -> None:
    scores, targets = random_lists()
    hard = RankNet()(scores, targets, MASK)
    torch.testing.assert_close(RankNet(teacher_temperature=1e-4)(scores, targets, MASK), hard)
