"""Extension points of training: what a user's reranker, loss or sampler returns is refused by
name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radio.batching import group_batch
from radio.data.loading import BatchMaker, Groups
from radio.losses import InfoNCE, ListNet, Loss, NoisyTeacher, WeightedSum
from radio.rerankers import Reranker
from radio.samplers import FullList, GroupSampler
from radio.schema import Group, GroupBatch, InputError, Passage, Question
from radio.teachers import Margin
from radio.trainer import RadioTrainer
from tests.conftest import World
from tests.data.test_module import module

pytestmark = pytest.mark.usefixtures("one_thread")

Change = Callable[[Any], Any]


def same(value: Any) -> Any:
    return value


class Lengths(Reranker):
    """A whole reranker in a few lines: it learns how much the length of a passage counts."""

    def __init__(
        self, build: Change = same, collate: Change = same, score: Change = same, **settings: Any
    ) -> None:
        super().__init__("none", **settings)
        self._changes = build, collate, score

    def build(self) -> Any:
        return self._changes[0](nn.Linear(1, 1))

    def collate(self, groups: Sequence[Group]) -> Any:
        lengths = torch.tensor([[len(p.contents) / 100] for g in groups for p in g.passages])
        return self._changes[1](group_batch(groups, {"pairs": {"lengths": lengths}}))

    def score(self, batch: GroupBatch) -> Any:
        return self._changes[2](self.network(batch.inputs["pairs"]["lengths"])[:, 0])

    def save(self, folder: Path) -> None:
        torch.save(self.network.state_dict(), folder / "weights.pt")


def fit(world: World, reranker: Reranker, *callbacks: Any, **settings: Any) -> None:
    trainer = RadioTrainer(
        accelerator="cpu",
        max_steps=2,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=world.folder,
        precision="32-true",
    )
    trainer.fit(reranker, datamodule=module(world, **settings))


def refused(*parts: str) -> Any:
    return pytest.raises(InputError, match=".*".join(map(re.escape, parts)))


def test_a_reranker_of_ones_own_is_trained(world: World) -> None:
    fit(world, Lengths(lr=0.1))


@pytest.mark.parametrize(
    ("method", "change", "found"),
    [
        ("build", lambda network: None, "None"),
        ("build", lambda network: "bert", "str"),
        ("collate", lambda batch: None, "None"),
        ("collate", lambda batch: batch.inputs, "dict"),
        (
            "collate",
            lambda batch: replace(batch, question_ids=batch.question_ids[::-1]),
            "question_ids",
        ),
        (
            "collate",
            lambda batch: replace(batch, passage_ids=[r[::-1] for r in batch.passage_ids]),
            "passage_ids",
        ),
        (
            "collate",
            lambda batch: replace(batch, passage_ids=batch.passage_ids[:1]),
            "passage_ids of 1 groups",
        ),
        ("collate", lambda batch: replace(batch, mask=batch.mask[:, 1:]), "a mask"),
        ("collate", lambda batch: replace(batch, mask=torch.zeros_like(batch.mask)), "a mask"),
        (
            "collate",
            lambda batch: replace(batch, teacher=batch.teacher.flip(1)),
            "other teacher scores",
        ),
        ("collate", lambda batch: replace(batch, weights=None), "weights None"),
        ("collate", lambda batch: replace(batch, weights=torch.ones(2)), "weights Tensor"),
        ("score", lambda scores: None, "None"),
        ("score", lambda scores: scores.tolist(), "list"),
        ("score", lambda scores: scores[:, None], "a tensor ["),
        ("score", lambda scores: scores.view(2, -1), "a tensor [2, "),
        ("score", lambda scores: scores[1:], "a tensor ["),
        ("score", lambda scores: scores.long(), "torch.int64"),
        ("score", lambda scores: scores.detach(), "cut off from the weights"),
    ],
)
def test_what_a_reranker_may_not_return_is_named(
    world: World, method: str, change: Change, found: str
) -> None:
    with refused(f"Lengths.{method}: found", found, "expected"):
        fit(
            world,
            Lengths(**{method: change}),
            batch_size=2,
            sampler=FullList(4),
            confidence=Margin("mean"),
        )


def test_a_mask_filled_from_the_right_is_refused() -> None:
    passages = tuple(Passage(f"p{i}", "fog") for i in range(3))
    groups = [Group(Question("q", "fog?"), passages[:n], (0.5, 0.2, 0.1)[:n]) for n in (3, 2)]
    with refused("Lengths.collate: found a mask [2, 3] with 5", "filled from the left"):
        BatchMaker(Lengths(collate=lambda batch: replace(batch, mask=batch.mask.flip(1))))([groups])
    assert BatchMaker(Lengths())([groups]).mask.sum() == 5


class Wrong(Loss):
    def __init__(self, change: Change) -> None:
        self.change = change

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Any:
        return self.change(ListNet()(scores, targets, mask))


LOSSES = [
    pytest.param(lambda loss: None, "None", id="none"),
    pytest.param(lambda loss: loss.item(), "float", id="number"),
    pytest.param(lambda loss: loss.detach(), "cut off from the scores", id="detached"),
    pytest.param(lambda loss: loss[None], "a tensor [1]", id="vector"),
    pytest.param(lambda loss: loss.repeat(2, 3), "a tensor [2, 3]", id="matrix"),
    pytest.param(lambda loss: loss.round().long(), "torch.int64", id="integer"),
]


@pytest.mark.parametrize(("change", "found"), LOSSES)
def test_what_a_loss_may_not_return_is_named(world: World, change: Change, found: str) -> None:
    with refused("Wrong.__call__: found", found, "expected"):
        fit(world, Lengths(loss=Wrong(change)))


@pytest.mark.parametrize(
    "whole",
    [
        lambda loss: WeightedSum({"a": loss}),
        lambda loss: NoisyTeacher(loss),
        lambda loss: NoisyTeacher(loss, 0.1, None),
    ],
    ids=["sum", "confidence", "smoothing"],
)
@pytest.mark.parametrize(("change", "found"), LOSSES)
def test_a_loss_within_a_loss_is_named_too(whole: Change, change: Change, found: str) -> None:
    scores = torch.tensor([[1.0, 2.0]], requires_grad=True)
    with refused("Wrong.__call__: found", found, "expected"):
        whole(Wrong(change))(scores, torch.tensor([[0.9, 0.1]]), torch.ones(1, 2, dtype=torch.bool))


class Chosen(GroupSampler):
    def __init__(self, groups: Any) -> None:
        self.chosen = groups

    def select(
        self, scores: Sequence[float], rng: Any, student: Sequence[float] | None = None
    ) -> Any:
        return self.chosen


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        (None, "None"),
        ([], "no group"),
        ([[]], "the group []"),
        ([[3]], "the group [3]"),
        ([0, 1], "int"),
        ([[0, 4]], "position 4"),
        ([[0, -1]], "position -1"),
        ([[0, 1.0]], "position 1.0"),
        ([[1, 2, 1]], "the group [1, 2, 1]"),
    ],
)
def test_what_a_sampler_may_not_return_is_named(groups: Any, found: str) -> None:
    with refused("Chosen.select: found", found, "two or more different positions from 0 to 3"):
        Chosen(groups).groups([0.9, 0.8, 0.2, 0.1], seed=0, epoch=0, question_id="q")


def test_positions_of_numpy_are_taken_from_a_sampler() -> None:
    for groups in (np.array([[0, 3]]), [np.array([0, 3])], [(np.int64(0), np.int64(3))]):
        assert Chosen(groups).groups([0.9, 0.8, 0.2, 0.1], seed=0, epoch=0, question_id="q") == [
            [0, 3]
        ]


def test_a_positive_that_the_loss_would_not_take_is_refused_in_training(world: World) -> None:
    with refused(
        "Chosen.select: found the group [2, 0, 3]", "positives that are the teacher's best"
    ):
        fit(world, Lengths(loss=InfoNCE()), sampler=Chosen([[2, 0, 3]]))
    fit(world, Lengths(loss=ListNet()), sampler=Chosen([[2, 0, 3]]))
    plain = Chosen([[2, 0, 3]])
    plain.marks_positives = False  # type: ignore[misc]
    fit(world, Lengths(loss=InfoNCE()), sampler=plain)


def test_groups_without_a_loss_of_its_own_positives_take_any_order() -> None:
    assert Groups([], {}, None, 0).taken == frozenset()
    assert ListNet().positives_taken == frozenset()
    assert WeightedSum({"a": InfoNCE(positives=2), "b": ListNet()}).positives_taken == {2}
    assert NoisyTeacher(InfoNCE()).positives_taken == {1}
