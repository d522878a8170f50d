"""Base and tuned reranker are compared in the same numerics: weights that did not change give
differences of 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from data_modules import JsonlDataModule
from radio.callbacks import RankEvaluation
from radio.losses import ListNet
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, LoRA, Reranker, YesNoLM
from radio.samplers import FullList
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
        trainer(tmp_path, precision=precision, accelerator=device).fit(
            reranker, datamodule=data(world)
        )
        tuned, base = reranker.rankings("validation")
        assert tuned == base
        assert any(len(set(scores.values())) > 1 for scores in tuned.values())
        found = reranker.results.difference("validation", "tuned", "base")
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
        found[key] = reranker.rankings("validation")
        note = reranker.results.notes["validation"]["precision"]
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
    trainer(tmp_path, max_epochs=3).fit(reranker, datamodule=data(world))
    # the one that is trained, and the untrained one in the first of three evaluations
    assert len(built) == 2
    assert not reranker._untrained
    tuned, base = reranker.rankings("validation")
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

    def backend(graph: Any, inputs: Any) -> Any:
        calls.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **options: compile_(f, backend=backend, **options)
    )
    reranker = CrossEncoder(models[CrossEncoder], max_length=48, compile=True)
    trainer(tmp_path).validate(reranker, datamodule=data(world), verbose=False)
    assert not calls
    tuned, base = reranker.rankings("validation")
    assert tuned == base
    reranker.eval()(reranker.collate([group(0, TEXTS)]))
    assert calls
