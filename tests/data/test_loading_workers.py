"""Worker processes that are started anew, as where there is no fork: spawn and forkserver."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from radio.cli import RadioTrainer
from radio.corpus import DiskCorpus
from radio.data.loading import BatchMaker, Groups
from radio.data.sharing import EpochSampler
from radio.losses import ListNet
from radio.samplers import HardNegatives
from radio.schema import Group
from tests.conftest import World
from tests.data.test_module import module
from tests.rerankers.test_collating import Shouting, rerankers, same

METHODS = ["spawn", "forkserver"]
# once for all workers of the second
multiprocessing.set_forkserver_preload(["radio.cli"])


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way in which torch starts processes, where a loader does not say another one."""
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(None, force=True)


class All:
    """Makes the batch of each reranker from the same groups: one process for all of them."""

    def __init__(self, makers: dict[str, BatchMaker]) -> None:
        self.makers = makers

    def __call__(self, items: Sequence[Sequence[Group]]) -> dict[str, Any]:
        return {name: make(items).inputs for name, make in self.makers.items()}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_reranker_makes_its_batches_in_a_process_started_anew(
    world: World, tiny_bert: str, tmp_path: Path, method: str
) -> None:
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    examples = data.examples["train"][:4]
    corpus = DiskCorpus([world.folder / "corpus.jsonl"], tmp_path / "corpus")
    made = rerankers(tiny_bert, tmp_path)
    made["fixed passages"].index(corpus, data.cache)
    everyone = All({name: BatchMaker(reranker) for name, reranker in made.items()})
    groups = Groups(examples, corpus, None, 0)
    loader: Any = DataLoader(
        groups,
        batch_size=2,
        sampler=EpochSampler(len(examples)),
        num_workers=1,
        multiprocessing_context=method,
        collate_fn=everyone,
    )
    batches = list(loader)
    assert len(batches) == 2
    for start, batch in zip((0, 2), batches, strict=True):
        here = everyone([groups[0, start], groups[0, start + 1]])
        for name in made:
            assert same(batch[name], here[name]), name


class Notes(L.Callback):
    """The groups of each step."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[str]]] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        self.groups += zip(batch.question_ids, batch.passage_ids, strict=True)


def trained(world: World, tiny_bert: str, workers: int) -> tuple[Notes, Shouting]:
    """An epoch with scores of the student, which a loader of their own makes."""
    L.seed_everything(5)
    notes = Notes()
    reranker = Shouting(tiny_bert, loss=ListNet(teacher_temperature=0.1), lr=1e-3, max_length=48)
    trainer = RadioTrainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[notes],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        precision="32-true",
    )
    sampler = HardNegatives(2, margin=0)
    data = module(world, sampler=sampler, batch_size=2, num_workers=workers)
    trainer.fit(reranker, datamodule=data)
    return notes, reranker


@pytest.mark.slow
def test_a_run_with_workers_started_anew_is_the_run_without(
    world: World, tiny_bert: str, method: str
) -> None:
    expected, alone = trained(world, tiny_bert, 0)
    found, reranker = trained(world, tiny_bert, 1)
    assert found.groups == expected.groups != []
    for name, weight in alone.state_dict().items():
        torch.testing.assert_close(reranker.state_dict()[name], weight, rtol=0, atol=0, msg=name)
