"""Interrupted runs: resumed, they train on the same groups and end with the same weights and
metrics as others."""

from __future__ import annotations

from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from radio.losses import ListNet
from radio.rerankers import CrossEncoder
from radio.samplers import FullList, GroupSampler, HardNegatives
from radio.trainer import RadioTrainer
from tests.conftest import World
from tests.data.test_module import module


class Diary(L.Callback):
    """Notes the epoch and the groups of each step; ``stop_at`` ends the run before that step, as a
    kill would."""

    def __init__(self, stop_at: int = -1) -> None:
        self.stop_at = stop_at
        self.groups: list[tuple[int, dict[str, list[str]]]] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.stop_at:
            raise KeyError("killed")
        self.groups.append(
            (trainer.current_epoch, dict(zip(batch.question_ids, batch.passage_ids, strict=True)))
        )


def fit(
    world: World,
    tiny_bert: str,
    sampler: GroupSampler,
    folder: str,
    *,
    stop_at: int = -1,
    ckpt_path: str | None = None,
    every_n_steps: int | None = None,
    workers: int = 0,
) -> tuple[Diary, CrossEncoder]:
    """Three epochs of six steps with dropout."""
    L.seed_everything(3)
    diary = Diary(stop_at)
    reranker = CrossEncoder(
        tiny_bert, loss=ListNet(teacher_temperature=0.1), lr=1e-3, max_length=48, dropout=0.2
    )
    data = module(world, sampler=sampler, batch_size=2, num_workers=workers)
    trainer = RadioTrainer(
        accelerator="cpu",
        max_epochs=3,
        num_sanity_val_steps=0,
        callbacks=[
            diary,
            ModelCheckpoint(
                world.folder / folder, save_last=True, every_n_train_steps=every_n_steps
            ),
        ],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        trainer.fit(
            reranker, datamodule=data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None
        )
    except KeyError:
        assert stop_at >= 0
    return diary, reranker


@pytest.mark.parametrize(
    ("sampler", "workers", "stop_at", "every_n_steps", "resumed_at"),
    [
        (FullList(3), 1, 8, None, 6),
        (FullList(3), 1, 17, 4, 16),
        (FullList(3), 0, 10, 3, 9),
        (HardNegatives(2, margin=0), 0, 8, None, 6),
        (HardNegatives(2, margin=0), 1, 9, 1, 9),
        (HardNegatives(2, margin=0), 0, 12, 1, 12),
    ],
)
def test_a_resumed_run_repeats_what_an_uninterrupted_one_does(
    world: World,
    tiny_bert: str,
    sampler: GroupSampler,
    workers: int,
    stop_at: int,
    every_n_steps: int | None,
    resumed_at: int,
    recwarn: pytest.WarningsRecorder,
) -> None:
    whole, expected = fit(world, tiny_bert, sampler, "whole")
    assert len(whole.groups) == 18
    how: dict[str, Any] = {"every_n_steps": every_n_steps, "workers": workers}
    first, _ = fit(world, tiny_bert, sampler, "killed", stop_at=stop_at, **how)
    last = world.folder / "killed/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == resumed_at
    second, resumed = fit(world, tiny_bert, sampler, "killed", ckpt_path=str(last), **how)
    assert first.groups[:resumed_at] + second.groups == whole.groups
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0, msg=name)
    assert not [str(w.message) for w in recwarn if "resumable" in str(w.message)]
