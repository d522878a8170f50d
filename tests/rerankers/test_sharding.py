"""Weights that processes hold together: what is refused of the strategy."""

from __future__ import annotations

import pytest

from radio.schema import InputError
from radio.trainer import RadioTrainer


def test_checkpoints_in_parts_are_refused() -> None:
    from lightning.pytorch.strategies import ModelParallelStrategy

    with pytest.raises(InputError, match="save_distributed_checkpoint: found true, expected false"):
        RadioTrainer(accelerator="cpu", strategy=ModelParallelStrategy(), logger=False)
