"""Exports say their class: it is taken from them, another one is refused, and a user's class comes
back whole."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from radio.encoders import Encoder
from radio.models.exported import NOTE
from radio.rerankers import BiEncoder, CrossEncoder, LateInteraction, Reranker
from radio.rerankers import exports as notes
from radio.schema import InputError
from tests.conftest import ROOT, World, write_jsonl
from tests.rerankers.test_base import TEXTS, group, scores
from tests.test_readme import examples

Radio = Callable[..., tuple[int, str, str]]

KINDS: dict[str, Callable[..., Reranker]] = {
    "CrossEncoder": CrossEncoder,
    "BiEncoder": BiEncoder,
    "LateInteraction": LateInteraction,
}
GROUPS = [group(0, TEXTS), group(1, TEXTS[:3])]


def ready(reranker: Reranker) -> Reranker:
    reranker.configure_model()
    return reranker.eval()


@pytest.fixture(scope="module")
def exports(tiny_bert: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An exported folder of each class."""
    folder = tmp_path_factory.mktemp("exports")
    made = {}
    for name, kind in KINDS.items():
        reranker = ready(kind(model=tiny_bert, max_length=40))
        made[name] = str(reranker.export(folder / name))
    return made


@pytest.fixture
def predict(radio: Radio, world: World, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """The tutorial's predict command on the tiny world."""
    rows = [{"id": "new", "question": "Who lit the lamp at port1?"}]
    write_jsonl(tmp_path / "new.jsonl", rows)

    def run(model: str, *arguments: str) -> tuple[int, str, str]:
        return radio(
            *("predict", "--config", str(ROOT / "configs/jsonl.yaml"), "--name", "reranked"),
            *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
            *("--trainer.logger", "false", "--data.init_args.eval_candidates", "6"),
            *(
                "--model.init_args.model",
                model,
                "--data.init_args.corpus",
                str(world.folder / "corpus.jsonl"),
            ),
            *("--data.init_args.predict", str(tmp_path / "new.jsonl"), *arguments),
        )

    return run


def ranking(folder: Path) -> dict[str, float]:
    (row,) = [
        json.loads(line) for line in (folder / "runs/reranked/predict.jsonl").open(encoding="utf-8")
    ]
    return {c["id"]: c["score"] for c in row["candidates"]}


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_says_its_class_and_the_settings_of_its_ranking(
    kind: str, exports: dict[str, str]
) -> None:
    note = json.loads((Path(exports[kind]) / NOTE).read_text())
    assert note["class"] == kind
    assert note["init_args"]["max_length"] == 40
    assert "lr" not in note["init_args"]
    assert ("scale" in note["init_args"]) == (kind == "BiEncoder")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made_by", KINDS)
def test_an_export_is_loaded_by_its_own_class_alone(
    kind: str, made_by: str, exports: dict[str, str]
) -> None:
    reranker = KINDS[kind](model=exports[made_by], max_length=40)
    if kind == made_by:
        ready(reranker)
        return
    with pytest.raises(InputError, match=rf"is the export of {made_by}, found {kind}"):
        reranker.configure_model()


def test_a_retriever_does_not_embed_with_a_cross_encoder(exports: dict[str, str]) -> None:
    with pytest.raises(InputError, match="export of a CrossEncoder, expected that of a BiEncoder"):
        Encoder(exports["CrossEncoder"], device="cpu").load()


@pytest.mark.parametrize("made_by", ["CrossEncoder", "LateInteraction"])
def test_predict_takes_the_class_from_the_export(
    made_by: str, predict: Callable[..., Any], exports: dict[str, str], tmp_path: Path
) -> None:
    status, _, err = predict(exports[made_by])
    assert status == 0, err
    assert f"is the export of {made_by}: max_length 40" in err
    reranker = ready(KINDS[made_by](model=exports[made_by], max_length=40))
    texts = {
        p["id"]: p["contents"] for p in map(json.loads, (tmp_path / "world/corpus.jsonl").open())
    }
    found = ranking(tmp_path)
    expected = scores(reranker, [group(0, [texts[i] for i in found])])[0]
    # the question of group 0 is that of the command
    assert list(found.values()) == pytest.approx(expected.tolist(), abs=2e-2)


def test_a_class_on_the_command_line_that_is_another_is_refused(
    predict: Callable[..., Any], exports: dict[str, str]
) -> None:
    status, _, err = predict(exports["CrossEncoder"], "--model", "BiEncoder")
    assert status == 2
    assert "--model: found BiEncoder" in err
    assert "is the export of CrossEncoder" in err


def test_the_command_line_wins_over_the_settings_of_the_export(
    predict: Callable[..., Any], exports: dict[str, str], tmp_path: Path
) -> None:
    status, _, err = predict(exports["BiEncoder"], "--model.init_args.scale", "3")
    assert status == 0, err
    assert max(abs(score) for score in ranking(tmp_path).values()) <= 3.01
    assert "scale: 3.0" in (tmp_path / "runs/reranked/config.yaml").read_text()


def test_an_export_of_a_class_that_is_not_here_is_named(
    predict: Callable[..., Any], exports: dict[str, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(exports["CrossEncoder"], tmp_path / "foreign")
    (folder / NOTE).write_text(json.dumps({"class": "not_here.Mine", "init_args": {}}))
    status, _, err = predict(str(folder))
    assert status == 2
    assert "export of not_here.Mine, which cannot be imported" in err
    (folder / NOTE).write_text("[]")
    status, _, err = predict(str(folder))
    assert status == 2
    assert "radio.json: found list, expected an object" in err


@pytest.fixture
def mean_pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The reranker of docs/how-to/reranker.md, as a user has it."""
    (tmp_path / "my_reranker.py").write_text(examples()["my_reranker.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_reranker", raising=False)
    return importlib.import_module("my_reranker").MeanPooled


def test_the_readmes_reranker_comes_back_from_its_export_whole(
    mean_pooled: Any, predict: Callable[..., Any], radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, _, err = radio(
        "fit", *tiny_run, "--model", "my_reranker.MeanPooled", "--model.init_args.lr", "1e-3"
    )
    assert status == 0, err
    folder = str(tmp_path / "runs/tiny/export")
    assert json.loads((Path(folder) / NOTE).read_text())["class"] == "my_reranker.MeanPooled"
    tuned = ready(mean_pooled(folder, max_length=48))
    state = torch.load(tmp_path / "runs/tiny/checkpoints/best.ckpt", weights_only=True)[
        "state_dict"
    ]
    torch.testing.assert_close(tuned.state_dict(), state)
    status, _, err = predict(folder)
    assert status == 0, err
    assert "is the export of my_reranker.MeanPooled" in err
    first = ranking(tmp_path)
    shutil.rmtree(tmp_path / "runs/reranked")
    status, _, err = predict(folder, "--seed_everything", "7")
    assert status == 0, err
    assert ranking(tmp_path) == first


def test_a_users_class_that_has_changed_since_is_refused_by_name(
    mean_pooled: Any, tiny_bert: str, tmp_path: Path
) -> None:
    folder = ready(mean_pooled(tiny_bert, max_length=48)).export(tmp_path / "export")

    class Wider(mean_pooled):  # type: ignore[misc]
        def build(self) -> Any:
            network = super().build()
            network.second = torch.nn.Linear(3, 3)
            return network

    with pytest.raises(InputError, match=r"2 weights \(second.weight, second.bias\) are missing"):
        ready(Wider(str(folder), max_length=48))


def test_weights_that_a_class_does_not_save_by_itself_are_added_to_its_export(
    mean_pooled: Any, tiny_bert: str, tmp_path: Path
) -> None:
    class BodyOnly(mean_pooled):  # type: ignore[misc]
        def save(self, folder: Path) -> None:
            head = self.network.head
            del self.network.head
            super().save(folder)
            self.network.head = head

    reranker = ready(BodyOnly(tiny_bert, max_length=48))
    with torch.no_grad():
        reranker.network.head.weight.add_(1.0)
    folder = reranker.export(tmp_path / "export")
    again = ready(BodyOnly(str(folder), max_length=48))
    torch.testing.assert_close(scores(again, GROUPS), scores(reranker, GROUPS))


def evaluate(reranker: Reranker, command: str) -> None:
    """Lightning's own call, on one batch."""

    class Data(L.LightningDataModule):
        def loader(self) -> Any:
            return torch.utils.data.DataLoader(
                [GROUPS], batch_size=None, collate_fn=reranker.collate
            )

        train_dataloader = val_dataloader = test_dataloader = predict_dataloader = loader

    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(accelerator="cpu", max_epochs=1, enable_checkpointing=False, **options)  # type: ignore[arg-type]
    getattr(trainer, command)(reranker, datamodule=Data())


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
@pytest.mark.parametrize("kind", ["CrossEncoder", "LateInteraction", "MeanPooled"])
def test_a_head_drawn_at_random_ranks_nothing(
    command: str, kind: str, mean_pooled: Any, tiny_bert: str
) -> None:
    reranker = {**KINDS, "MeanPooled": mean_pooled}[kind](model=tiny_bert, max_length=48)
    with pytest.raises(
        InputError, match=r"weights \(.*\.weight.*would be random; give a trained model"
    ):
        evaluate(reranker, command)


def test_a_new_head_is_said_and_may_be_evaluated_once_trained(
    tiny_bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # another path, because a message is given once
    model = str(shutil.copytree(tiny_bert, tmp_path / "plain"))
    reranker = CrossEncoder(model, max_length=48)
    evaluate(reranker, "fit")
    assert (
        "has no head of a CrossEncoder: classifier.bias, classifier.weight start at random"
        in capsys.readouterr().err
    )
    evaluate(reranker, "test")


def test_an_export_holds_no_secret(
    tiny_bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_length": 5, "api_key": "S", "url": "https://me:pw@host", "n": [1]}
    monkeypatch.setattr(notes, "ranking_settings", lambda module: settings)
    notes.write_note(tmp_path, CrossEncoder(tiny_bert))
    note = json.loads((tmp_path / NOTE).read_text())
    assert note["init_args"] == {"max_length": 5, "url": "https://(left out)@host", "n": [1]}
