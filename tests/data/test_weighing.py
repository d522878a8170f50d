"""Weights of the training questions: from the teachers' scores to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from radio.batching import group_batch
from radio.data.loading import Groups
from radio.losses import InfoNCE, Loss
from radio.rerankers import CrossEncoder
from radio.schema import InputError, Missing
from radio.teachers import Agreement, Confidence, Margin, RetrievalScore
from tests.conftest import World, entries, read_jsonl, write_jsonl
from tests.data.test_module import WordOverlap, module


class Given(Confidence):
    """Weights that are given, one after the other, again and again."""

    def __init__(self, *weights: Any) -> None:
        self.weights = list(weights)
        self._asked = 0

    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        self._asked += 1
        return self.weights[(self._asked - 1) % len(self.weights)]


class Seen(InfoNCE):
    """Remembers the weights that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor | None] = []

    def __call__(
        self, scores: Tensor, targets: Tensor, mask: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        self.weights.append(weights)
        return super().__call__(scores, targets, mask, weights)


def trainer(**settings: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **settings,
    )


def test_a_training_question_has_the_weight_of_its_scores(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    module(world).prepare_data()
    data = module(world, confidence=Margin())
    before = entries(data.cache)
    data.prepare_data()
    # nothing that is kept depends on it
    assert entries(data.cache) == before
    with caplog.at_level("INFO"):
        data.setup("fit")
    weights = []
    for example in data.examples["train"]:
        best, second = sorted((example.teacher or {}).values(), reverse=True)[:2]
        assert example.weight == best - second
        weights.append(example.weight)
    mean, nothing = sum(weights) / len(weights), weights.count(0)
    assert (
        f"train: Margin weighs {len(weights)} questions, {mean:.3f} on average; {nothing} weigh 0"
        in caplog.text
    )
    assert {example.weight for example in data.examples["validation"]} == {1.0}
    (group,) = Groups(data.examples["train"], data.corpus, None, 0)[0, 0]
    assert group.weight == weights[0]


def test_scores_of_a_second_teacher_are_kept_as_those_of_the_first(world: World) -> None:
    data = module(world, teacher=RetrievalScore(), confidence=Agreement(WordOverlap()))
    with pytest.raises(Missing, match="candidates missing"):
        data.setup("fit")
    # the rationales that the second one alone needs are obtained
    data.prepare_data()
    second: Any = data.confidence.teacher  # type: ignore[union-attr]
    questions = len(read_jsonl(world.folder / "train.jsonl"))
    assert second._calls == questions
    again = module(world, teacher=RetrievalScore(), confidence=Agreement(WordOverlap()))
    again.prepare_data()
    again.setup("fit")
    assert again.confidence.teacher._calls == 0  # type: ignore[union-attr]
    plain = module(world, teacher=WordOverlap())
    plain.prepare_data()
    plain.setup("fit")
    overlaps = {example.question.id: example.teacher for example in plain.examples["train"]}
    for example in again.examples["train"]:
        overlap = overlaps[example.question.id] or {}
        scores = example.teacher or {}
        expected = Agreement(WordOverlap()).weigh(
            list(scores.values()), [overlap[passage] for passage in scores]
        )
        assert example.weight == expected
    assert len({example.weight for example in again.examples["train"]}) > 1


def test_scores_of_the_second_teacher_that_are_missing_are_named(world: World) -> None:
    module(world).prepare_data()
    with pytest.raises(Missing, match="teacher scores missing for"):
        module(world, confidence=Agreement(RetrievalScore())).setup("fit")


def test_a_question_that_the_second_teacher_can_not_score_weighs_nothing(world: World) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    first = read_jsonl(world.folder / "train.jsonl")[0]["id"]
    write_jsonl(world.folder / "rationales.jsonl", [row for row in rows if row["id"] != first])
    settings: dict[str, Any] = {
        "teacher": RetrievalScore(),
        "confidence": Agreement(WordOverlap()),
    }
    with pytest.raises(Missing, match="rationale missing for 1 of"):
        module(world, **settings).prepare_data()
    data = module(world, **settings, missing_rationales="drop")
    data.prepare_data()
    data.setup("fit")
    weights = {example.question.id: example.weight for example in data.examples["train"]}
    assert weights[first] == 0
    assert sum(weights.values()) > 0


@pytest.mark.parametrize("found", [-0.1, 1.5, float("nan"), None, "much", [0.5, 0.5]])
def test_what_is_no_weight_is_refused(found: Any, world: World) -> None:
    data = module(world, confidence=Given(found))
    data.prepare_data()
    with pytest.raises(InputError, match=r"Given\.weigh: found .*, expected .* question 'q-0-0'"):
        data.setup("fit")


def test_where_every_question_weighs_nothing_there_is_no_training(world: World) -> None:
    data = module(world, confidence=Given(0.0))
    data.prepare_data()
    with pytest.raises(InputError, match=r"train: Given gives all \d+ questions weight 0, nothing"):
        data.setup("fit")


def test_the_loss_is_given_the_weights_of_its_questions(world: World, tiny_bert: str) -> None:
    data = module(world, confidence=Given(0.5, 0.0, 0.25), batch_size=2)
    loss = Seen()
    trainer().fit(CrossEncoder(tiny_bert, loss=loss, max_length=48), datamodule=data)
    given = [weights for weights in loss.weights if weights is not None]
    taught = sorted(value for weights in given for value in weights.tolist())
    assert taught == sorted(example.weight for example in data.examples["train"])
    # the loss of the validation is that of all its questions alike
    assert loss.weights[-1] is None


def test_without_confidence_a_loss_is_called_as_ever(world: World, tiny_bert: str) -> None:
    data, loss = module(world), Seen()
    trainer(limit_train_batches=1).fit(
        CrossEncoder(tiny_bert, loss=loss, max_length=48), datamodule=data
    )
    assert set(loss.weights) == {None}


def test_a_batch_that_weighs_nothing_is_said_once(
    world: World, tiny_bert: str, recwarn: pytest.WarningsRecorder
) -> None:
    data = module(world, confidence=Given(0.0, 0.0, 0.0, 0.0, 0.0, 1.0), batch_size=1)
    trainer().fit(CrossEncoder(tiny_bert, max_length=48), datamodule=data)
    said = [str(warning.message) for warning in recwarn if "weigh 0" in str(warning.message)]
    assert len(said) == 1
    assert "all questions of a batch weigh 0, it teaches nothing" in said[0]


class Plain(Loss):
    """As in docs/how-to/loss.md: without weights."""

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return InfoNCE()(scores, targets, mask)


def test_a_loss_without_weights_is_refused_where_there_are_some(
    world: World, tiny_bert: str
) -> None:
    with pytest.raises(InputError, match="Plain and Margin: found a loss, or a part of one, whose"):
        trainer().fit(
            CrossEncoder(tiny_bert, loss=Plain(), max_length=48),
            datamodule=module(world, confidence=Margin()),
        )
    plain = CrossEncoder(tiny_bert, loss=Plain(), max_length=48)
    trainer(limit_train_batches=1).fit(plain, datamodule=module(world))


def test_a_batch_has_weights_where_one_differs(world: World) -> None:
    data = module(world, confidence=Given(1.0, 0.5))
    data.prepare_data()
    data.setup("fit")
    groups = Groups(data.examples["train"], data.corpus, None, 0)
    (first,), (second,) = groups[0, 0], groups[0, 1]
    assert group_batch([first], {}).weights is None
    weights = group_batch([first, second], {}).weights
    assert weights is not None
    assert weights.dtype == torch.float32
    assert weights.tolist() == [1.0, 0.5]
