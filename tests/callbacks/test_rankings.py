"""Rankings are collected once for all who read them. Base and tuned reranker are compared in the
same numerics: weights that did not change give differences of 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from data_modules import JsonlDataModule
from radio.callbacks import GeneratorInTheLoop, RankEvaluation, Rankings, rankings_of
from radio.losses import ListNet
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, LoRA, Reranker, YesNoLM
from radio.samplers import FullList
from radio.schema import GroupBatch, InputError, Run
from radio.trainer import RadioTrainer
from tests.conftest import World
from tests.data.test_module import module
from tests.rerankers.test_base import TEXTS, group
from tests.rerankers.test_yes_no import make_decoder

KINDS: dict[str, tuple[type[Reranker], dict[str, Any]]] = {
    "CrossEncoder": (CrossEncoder, {}),
    "CrossEncoder with adapters": (CrossEncoder, {"lora": LoRA(r=4)}),
    "BiEncoder": (BiEncoder, {}),
    "BiEncoder, question side": (BiEncoder, {"train_side": "question"}),
    "BiEncoder, tokens": (BiEncoder, {"multi_vector": 0.5}),
    "BiEncoder, question side, tokens": (
        BiEncoder,
        {"multi_vector": 0.5, "train_side": "question"},
    ),
    "LateInteraction": (LateInteraction, {"dim": 16}),
    "YesNoLM": (YesNoLM, {"max_length": 300}),
}


Models = dict[type[Reranker], str]


def whole_models(tiny_bert: str, folder: Path) -> Models:
    """A folder with all weights for each kind: an evaluation refuses a head that would be drawn at
    random."""
    found: Models = {BiEncoder: tiny_bert, YesNoLM: make_decoder(folder / "decoder", "qwen3")}
    kinds: list[tuple[type[Reranker], dict[str, Any]]] = [
        (CrossEncoder, {}),
        (LateInteraction, {"dim": 16}),
    ]
    for kind, settings in kinds:
        reranker = kind(tiny_bert, max_length=48, **settings)
        reranker.configure_model()
        found[kind] = str(reranker.export(folder / kind.__name__))
    return found


@pytest.fixture(scope="module")
def models(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return whole_models(tiny_bert, tmp_path_factory.mktemp("models"))


def trainer(folder: Path, **settings: Any) -> RadioTrainer:
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options: dict[str, Any] = {"accelerator": "cpu", "max_epochs": 1, "num_sanity_val_steps": 0}
    options |= {
        "callbacks": [RankEvaluation()],
        "default_root_dir": folder,
        **dict.fromkeys(quiet, False),
    }
    return RadioTrainer(**{**options, **settings})


def make(name: str, models: Models, **settings: Any) -> Reranker:
    kind, own = KINDS[name]
    options = {"max_length": 48, "loss": ListNet(teacher_temperature=0.1), **own, **settings}
    return kind(models[kind], **options)


def data(world: World) -> JsonlDataModule:
    # batches that differ in size, and so in how passages are put together
    return module(world, eval_candidates=7, eval_batch_size=3, sampler=FullList(5), batch_size=2)


def tuned_and_base(run: L.Trainer) -> tuple[Run, Run]:
    """Scores of the validation questions just evaluated."""
    rankings = rankings_of(run).named(run, "validation")
    return rankings["tuned"], rankings["base"]


CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("gpu", marks=CUDA)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("name", KINDS)
def test_weights_that_did_not_change_give_differences_of_exactly_0(
    name: str, precision: str, device: str, world: World, models: Models, tmp_path: Path
) -> None:
    # the second time, whatever is cached is there
    for _ in range(2):
        L.seed_everything(3, verbose=False)
        reranker = make(name, models, lr=0.0)
        run = trainer(tmp_path, precision=precision, accelerator=device)
        run.fit(reranker, datamodule=data(world))
        tuned, base = tuned_and_base(run)
        assert tuned == base
        assert any(len(set(scores.values())) > 1 for scores in tuned.values())
        found = rankings_of(run).results.difference("validation", "tuned", "base")
        assert found
        assert {
            value for row in found.values() for k, value in row.items() if k != "questions"
        } == {0.0}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", KINDS)
def test_an_evaluation_is_in_fp32_whatever_the_precision_of_training(
    name: str, device: str, world: World, models: Models, tmp_path: Path
) -> None:
    found: dict[str, Any] = {}
    runs = {
        "exact": ("32-true", "fp32"),
        "mixed": ("bf16-mixed", "fp32"),
        "asked": ("bf16-mixed", "trainer"),
    }
    for key, (precision, evaluation) in runs.items():
        L.seed_everything(3, verbose=False)
        reranker = make(name, models, evaluation_precision=evaluation)
        rated = trainer(tmp_path / key, precision=precision, accelerator=device)
        rated.validate(reranker, datamodule=data(world), verbose=False)
        found[key] = tuned_and_base(rated)
        note = rankings_of(rated).results.notes["validation"]["precision"]
        assert note == ("bf16-mixed" if evaluation == "trainer" else "32-true")
    assert found["mixed"] == found["exact"]
    assert found["asked"] != found["exact"]
    assert found["asked"][0] == found["asked"][1]


def test_the_untrained_model_is_loaded_once_and_not_kept(
    world: World, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Reranker] = []
    build = CrossEncoder.build

    def counted(self: CrossEncoder) -> torch.nn.Module:
        built.append(self)
        return build(self)

    monkeypatch.setattr(CrossEncoder, "build", counted)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48, lr=1e-2)
    run = trainer(tmp_path, max_epochs=3)
    run.fit(reranker, datamodule=data(world))
    # the one that is trained, and the untrained one in the first of three evaluations
    assert len(built) == 2
    assert not reranker._untrained
    tuned, base = tuned_and_base(run)
    assert tuned != base
    assert tuned.keys() == base.keys()


def test_no_untrained_model_is_loaded_where_nothing_compares(
    world: World, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reranker, "_load_untrained", lambda self: pytest.fail("loaded"))
    trainer(tmp_path, callbacks=[]).fit(
        CrossEncoder(models[CrossEncoder], max_length=48), datamodule=data(world)
    )


def test_a_compiled_network_is_compared_in_plain_code(
    world: World, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    # what other tests have compiled counts against a limit, beyond which nothing is compiled
    torch._dynamo.reset()

    def backend(graph: Any, inputs: Any) -> Any:
        calls.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **options: compile_(f, backend=backend, **options)
    )
    reranker = CrossEncoder(models[CrossEncoder], max_length=48, compile=True)
    run = trainer(tmp_path)
    run.validate(reranker, datamodule=data(world), verbose=False)
    assert not calls
    tuned, base = tuned_and_base(run)
    assert tuned == base
    reranker.eval()(reranker.collate([group(0, TEXTS)]))
    assert calls


def test_the_base_is_ranked_once_for_all_callbacks_and_all_epochs(
    world: World, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked: list[str] = []
    untrained = Reranker.untrained_scores

    def counted(self: Reranker, batch: GroupBatch) -> torch.Tensor:
        ranked.extend(batch.question_ids)
        return untrained(self, batch)

    monkeypatch.setattr(Reranker, "untrained_scores", counted)
    callbacks = [RankEvaluation(), RankEvaluation(["RR@10"]), GeneratorInTheLoop()]
    run = trainer(tmp_path, callbacks=callbacks, max_epochs=2, num_sanity_val_steps=-1)
    questions = data(world)
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    run.fit(reranker, datamodule=questions)
    run.validate(reranker, datamodule=questions, verbose=False)
    assert sorted(ranked) == sorted(e.question.id for e in questions.examples["validation"])
    # another reranker has another base
    ranked.clear()
    other = CrossEncoder(models[CrossEncoder], max_length=48)
    run.validate(other, datamodule=questions, verbose=False)
    assert len(ranked) == len(questions.examples["validation"])


def test_a_bare_trainer_with_an_evaluation_alone_collects_too(
    world: World, models: Models, tmp_path: Path
) -> None:
    started: list[str] = []

    class Starts(L.Callback):
        def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            started.append("validation")

    best = ModelCheckpoint(tmp_path, monitor="validation/RR@10", mode="max")
    run = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[RankEvaluation(), Starts(), best],
        default_root_dir=tmp_path,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    questions = data(world)
    run.fit(reranker, datamodule=questions)
    run.validate(reranker, datamodule=questions, verbose=False)
    assert len(started) == 2
    kinds = [type(callback) for callback in run.callbacks]  # type: ignore[attr-defined]
    assert kinds.count(Rankings) == 1
    assert kinds[-1] is ModelCheckpoint
    assert (tmp_path / "metrics.json").is_file()
    assert "validation/RR@10" in run.callback_metrics


def test_steps_return_scores_and_predict_ranks_without_an_evaluation(
    world: World, models: Models, tmp_path: Path
) -> None:
    run = trainer(tmp_path, callbacks=[])
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    questions = data(world)
    returned = run.predict(reranker, datamodule=questions)
    assert returned is not None
    scores = rankings_of(run).scores
    assert list(scores) == [e.question.id for e in questions.examples["test"]]
    found = [value for batch in returned for value in torch.as_tensor(batch).flatten().tolist()]
    assert sorted(found) == sorted(v for row in scores.values() for v in row.values())
    # and keeps none of them if it is not asked to
    assert not run.predict(reranker, datamodule=questions, return_predictions=False)
    assert rankings_of(run).scores == scores


def test_a_trial_and_limits_evaluate_what_they_see(
    world: World, models: Models, tmp_path: Path
) -> None:
    reranker = CrossEncoder(models[CrossEncoder], max_length=48)
    for limits in ({"fast_dev_run": True}, {"limit_val_batches": 1}):
        run = trainer(tmp_path, **limits)
        run.fit(reranker, datamodule=module(world, eval_batch_size=1, sampler=FullList(5)))
        tuned, base = tuned_and_base(run)
        assert len(tuned) == len(base) == 1


class Silent(CrossEncoder):
    """Its validation returns nothing, as that of a class written for Lightning alone may."""

    def validation_step(self, batch: GroupBatch, batch_idx: int) -> None:  # type: ignore[override]
        super().validation_step(batch, batch_idx)


def test_a_step_that_returns_no_scores_is_named_where_they_are_needed(
    world: World, models: Models, tmp_path: Path
) -> None:
    reranker = Silent(models[CrossEncoder], max_length=48)
    with pytest.raises(
        InputError, match=r"Silent: its step of validation returned NoneType, expected the scores"
    ):
        trainer(tmp_path).validate(reranker, datamodule=data(world), verbose=False)
    trainer(tmp_path, callbacks=[]).validate(reranker, datamodule=data(world), verbose=False)
