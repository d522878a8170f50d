"""The student's scores that hard negatives are drawn by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from radio.rerankers import CrossEncoder
from radio.samplers import HardNegatives
from tests.callbacks.test_rankings import Models, trainer, whole_models
from tests.conftest import World
from tests.data.test_module import module


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


def test_the_students_scores_for_hard_negatives_are_in_fp32(
    world: World, models: Models, tmp_path: Path
) -> None:
    found = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        own = module(world, sampler=HardNegatives(2), batch_size=2)
        run = trainer(tmp_path, precision=precision, callbacks=[])
        run.fit(
            CrossEncoder(models[CrossEncoder], max_length=48, lr=0.0, dropout=0.0), datamodule=own
        )
        loader: Any = run.train_dataloader
        found.append(loader.groups.student)
    assert found[0]
    assert found[0] == found[1]
