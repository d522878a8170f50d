"""NaN and infinity are no ranking: the run stops with question, passage, step and cause, and
nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from radio.callbacks import CollapseGuard
from radio.losses import ListNet, Loss
from radio.rerankers import BiEncoder, CrossEncoder, Reranker
from radio.schema import GroupBatch, InputError
from tests.callbacks.test_rankings import Models, data, trainer, whole_models
from tests.conftest import World

Radio = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


class BrokenBase(BiEncoder):
    """The untrained network has a weight that is not finite."""

    def _load_untrained(self) -> Any:
        network = super()._load_untrained()
        next(network.parameters()).data.fill_(float("nan"))
        return network


class Overflows(CrossEncoder):
    """Its own arithmetic gives infinity."""

    def score(self, batch: GroupBatch) -> Tensor:
        return super().score(batch) / 0.0


class LogOfZero(Loss):
    """NaN from finite scores."""

    def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        return (scores * 0).sum() / 0.0


def fit(reranker: Reranker, world: World, folder: Path, command: str = "fit") -> None:
    run = trainer(
        folder, precision="32-true", callbacks=[*trainer(folder).callbacks, CollapseGuard()]
    )
    getattr(run, command)(reranker, datamodule=data(world))


@pytest.mark.parametrize("kind", ["CrossEncoder", "BiEncoder"])
def test_a_learning_rate_far_too_high_ends_the_run_and_exports_nothing(
    kind: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    arguments = [
        "--model",
        kind,
        "--model.init_args.lr",
        "1e10",
        "--trainer.gradient_clip_val",
        "null",
    ]
    status, out, err = radio("fit", *tiny_run, *arguments, "--data.init_args.batch_size", "2")
    message = err[err.rindex("radio: error:") :]
    assert status == 2
    for part in (
        "the score of passage 'port",
        "for question 'q-",
        "expected a finite number",
        "epoch 0, step ",
    ):
        assert part in message
    assert "learning rate 1e+10" in message or "learning rate 8" in message
    assert (
        "likely cause: weights as large as 1e+10" in message or "is not finite any more" in message
    )
    assert "Most often the learning rate was too high: lower --model.init_args.lr" in message
    assert "tuned - base" not in out
    left = {path.name for path in (tmp_path / "runs/tiny").iterdir()}
    assert not left & {"export", "metrics.json", "predictions.jsonl", "test.tuned.trec"}


@pytest.mark.parametrize("command", ["fit", "validate", "predict"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_came_with_the_model_are_named(
    command: str, value: float, world: World, models: Models, tmp_path: Path
) -> None:
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    reranker.configure_model()
    reranker.network.bert.encoder.layer[1].output.dense.weight.data[0, 0] = value
    with pytest.raises(
        InputError, match=r"the score of passage '.+' for question 'q-.+' is nan"
    ) as caught:
        fit(reranker, world, tmp_path, command)
    assert f"output.dense.weight' is not finite in the model {reranker.model!r} itself" in str(
        caught.value
    )
    stage = {
        "fit": "training, epoch 0, step 0, learning rate",
        "validate": "validation",
        "predict": "predict",
    }[command]
    assert f"({stage}" in str(caught.value)


def test_the_untrained_model_is_told_apart(world: World, tiny_bert: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"validation, the untrained model, epoch 0, step 0"
    ) as caught:
        fit(BrokenBase(tiny_bert, max_length=48), world, tmp_path, "validate")
    assert "in the model" in str(caught.value)


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_score_of_ones_own_that_is_infinite_names_its_class(
    command: str, world: World, models: Models, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"is -?inf, expected a finite number") as caught:
        fit(Overflows(models[CrossEncoder], max_length=48), world, tmp_path, command)
    assert "Overflows.score (all weights are finite)" in str(caught.value)


def test_a_loss_that_is_not_finite_names_itself_the_questions_and_the_step(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"the loss LogOfZero returned nan for the questions 'q-\d-\d', 'q-"
    ) as caught:
        fit(CrossEncoder(tiny_bert, max_length=48, loss=LogOfZero()), world, tmp_path)
    assert "(training, epoch 0, step 0, learning rate" in str(caught.value)
    assert "all scores are finite" in str(caught.value)


def test_a_checkpoint_of_nan_is_refused_and_the_results_of_the_run_stay(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    assert radio("fit", *tiny_run)[0] == 0
    run = tmp_path / "runs/tiny"
    before = (run / "metrics.json").read_bytes()
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    for weight in checkpoint["state_dict"].values():
        weight.fill_(float("nan"))
    torch.save(checkpoint, tmp_path / "nan.ckpt")
    status, out, err = radio("test", *tiny_run, "--ckpt_path", str(tmp_path / "nan.ckpt"))
    assert status == 2
    assert "in the checkpoint" in err
    assert "nan.ckpt" in err
    assert "tuned - base" not in out
    assert (run / "metrics.json").read_bytes() == before


def test_weights_of_nan_are_not_exported_and_the_old_folder_stays(
    tiny_bert: str, tmp_path: Path
) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    folder = reranker.export(tmp_path / "export", card="of the first")
    before = (folder / "model.safetensors").read_bytes()
    reranker.network.classifier.weight.data[0, 0] = float("inf")
    with pytest.raises(
        InputError, match=r"nothing is exported: the weight 'classifier.weight' is not finite"
    ):
        reranker.export(folder, card="of the second")
    assert (folder / "model.safetensors").read_bytes() == before
    assert (folder / "README.md").read_text() == "of the first"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_export_that_is_killed_half_way_leaves_the_old_folder_whole(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    folder = reranker.export(tmp_path / "export", card="whole")

    def killed(*_: Any, **__: Any) -> None:
        assert (folder / "README.md").read_text() == "whole"
        raise KeyboardInterrupt

    monkeypatch.setattr(reranker.tokenizer, "save_pretrained", killed)
    with pytest.raises(KeyboardInterrupt):
        reranker.export(folder, card="half")
    assert (folder / "README.md").read_text() == "whole"
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_run_whose_last_weights_are_nan_exports_nothing(
    world: World, tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radio.callbacks import ExportHuggingFace

    reranker = CrossEncoder(tiny_bert, max_length=48, loss=ListNet())

    def spoil(self: Any, *_: Any) -> None:
        reranker.network.classifier.weight.data.fill_(float("nan"))

    monkeypatch.setattr(CollapseGuard, "on_train_end", spoil)
    run = trainer(tmp_path, callbacks=[ExportHuggingFace(), CollapseGuard()], limit_val_batches=0)
    with pytest.raises(InputError, match="nothing is exported"):
        run.fit(reranker, datamodule=data(world))
    assert not (tmp_path / "export").exists()


def test_numbers_of_an_earlier_run_do_not_hide_the_error(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    """A second run over the first one stops before anything of its own is written."""
    assert radio("fit", *tiny_run)[0] == 0
    bad = [
        "--overwrite",
        "true",
        "--model.init_args.lr",
        "1e10",
        "--trainer.gradient_clip_val",
        "null",
    ]
    assert radio("fit", *tiny_run, *bad, "--data.init_args.batch_size", "2")[0] == 2
    metrics = tmp_path / "runs/tiny/metrics.json"
    assert not metrics.exists() or "tuned" not in json.loads(metrics.read_text()).get("test", {})
