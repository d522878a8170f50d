"""Every YAML file in configs/ parses, and its parts are built."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import data_modules
import radio.losses
from tests.conftest import ROOT, SHARED, make_world, read_jsonl, write_jsonl

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: str(p.relative_to(ROOT / "configs")))
def test_config_builds_the_classes_that_it_names(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import lightning as L

    from data_modules import RationaleDataModule
    from radio.cli import RadioCLI
    from radio.config import plan
    from radio.config.parsing import RadioParser
    from radio.rerankers import Reranker
    from radio.trainer import RadioTrainer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    below = {"configs": None, "data": "nq"}.get(path.parent.name, "quickstart")
    base = ["--config", str(ROOT / f"configs/{below}.yaml")] if below else []
    monkeypatch.setattr(sys, "argv", ["radio", "fit", *base, "--config", str(path)])
    built = {}

    class Parsed(RadioCLI):
        def _run_subcommand(self, subcommand: str) -> None:
            built.update(model=self.model, data=self.datamodule, trainer=self.trainer)

    Parsed(
        Reranker,
        RationaleDataModule,
        trainer_class=RadioTrainer,
        parser_class=RadioParser,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_callback=None,
        auto_configure_optimizers=False,
    )
    assert isinstance(built["model"], Reranker)
    assert isinstance(built["data"], RationaleDataModule)
    assert isinstance(built["trainer"], L.Trainer)
    plan.check_run(built["trainer"].callbacks, built["model"], built["data"])

    for names, thing in _named(yaml.safe_load(path.read_text())):
        found = built[names[0]]
        for name in names[1:]:
            if name == "callbacks":
                kinds = [type(c).__name__ for c in found.callbacks]
                assert thing in kinds
                break
            found = found[name] if isinstance(found, dict) else getattr(found, name)
        else:
            assert type(found).__name__ == thing
    if path.parent.name == "losses":
        # of the loss that the overlay replaces no setting stays, not even one of the same name
        loss = yaml.safe_load(path.read_text())["model"]["init_args"]["loss"]
        assert _settings(built["model"].loss) == _settings(_loss(loss))


def _named(node: object, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Attribute paths and the short class names that the file gives them."""
    result = []
    if isinstance(node, dict):
        if "class_path" in node:
            result.append((path, node["class_path"]))
        for key, value in node.items():
            if key not in {"class_path", "logger"}:
                inner = path if key == "init_args" else (*path, key.rstrip("+"))
                result += _named(value, inner)
    elif isinstance(node, list) and path[-1] == "callbacks":
        for item in node:
            result.append((path, item["class_path"]))
    return result


def _loss(node: Any) -> Any:
    """What the file says, built without a command line."""
    if isinstance(node, dict) and "class_path" in node:
        return getattr(radio.losses, node["class_path"])(**_loss(node.get("init_args", {})))
    return {key: _loss(value) for key, value in node.items()} if isinstance(node, dict) else node


def _settings(value: Any) -> Any:
    if isinstance(value, radio.losses.Loss):
        return type(value).__name__, _settings(vars(value))
    return (
        {key: _settings(part) for key, part in value.items()} if isinstance(value, dict) else value
    )


def test_every_loss_has_an_overlay() -> None:
    overlays = [
        yaml.safe_load(path.read_text()) for path in CONFIGS if path.parent.name == "losses"
    ]
    named = [overlay["model"]["init_args"]["loss"]["class_path"] for overlay in overlays]
    assert sorted(named) == sorted(set(radio.losses.__all__) - {"Loss"})


PUBLISHED = [
    "nq",
    "triviaqa",
    "mmlu",
    "musique",
    "fever",
    "hotpotqa",
    "2wikimultihopqa",
    "web_questions",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_setting_is_the_same_for_every_dataset(name: str) -> None:
    def shared(name: str) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
        data = config["data"]
        for own in ("splits", "choices_in_query"):
            data["init_args"].pop(own, None)
        del config["name"], data["class_path"]
        callbacks = config["trainer"]["callbacks"]
        config["trainer"]["callbacks"] = [
            c for c in callbacks if c["class_path"] != "GeneratorInTheLoop"
        ]
        return config

    config = shared(name)
    assert config == shared("nq")
    model, data, trainer = (
        config["model"]["init_args"],
        config["data"]["init_args"],
        config["trainer"],
    )
    # arXiv 2412.08519
    assert (model["model"], model["lr"], model["max_length"]) == (
        "BAAI/bge-reranker-base",
        6e-5,
        512,
    )
    assert (trainer["max_epochs"], data["batch_size"], trainer["accumulate_grad_batches"]) == (
        2,
        16,
        4,
    )
    assert (data["max_questions"], data["train_candidates"], data["eval_candidates"]) == (
        {"train": 20000},
        50,
        20,
    )
    assert data["sampler"]["init_args"] == {"positive": 0, "negatives": [3, 4, 6, 9, 13, 18]}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["nq", "triviaqa", "mmlu", "musique", "fever"])
def test_a_folder_takes_the_place_of_hub_index_and_api(
    name: str, radio: Any, tiny_bert: str
) -> None:
    """On the shared data, with their rationales and candidates, and the rest as in the config."""
    files = (
        "--config",
        str(ROOT / f"configs/{name}.yaml"),
        "--config",
        str(ROOT / "configs/data/local_folder.yaml"),
    )
    status, _, err = radio(
        *(
            "fit",
            *files,
            "--data.init_args.path",
            str(SHARED / "data"),
            "--trainer.fast_dev_run",
            "true",
        ),
        *(
            "--trainer.accelerator",
            "cpu",
            "--trainer.logger",
            "false",
            "--trainer.enable_progress_bar",
            "false",
        ),
        *("--trainer.callbacks", json.dumps([{"class_path": "RankEvaluation"}])),
        *("--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"),
        *(
            "--data.init_args.teacher.init_args.rationale.init_args.encoder.init_args.model",
            tiny_bert,
        ),
        *(
            "--data.init_args.teacher.init_args.rationale.init_args.encoder.init_args.max_length",
            "48",
        ),
        *("--data.init_args.max_questions", "{train: 20, validation: 5, test: 5}"),
    )
    assert status == 0, err


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_dataset_is_trained_on_from_its_config(
    name: str, radio: Any, tiny_bert: str, tiny_reader: str, tmp_path: Path
) -> None:
    """A step and an evaluation with random models, on a repository that is laid out as the
    hub's."""
    config = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
    kind = getattr(data_modules, config["data"]["class_path"])
    world = make_world(tmp_path / "world")
    folder = tmp_path / "repository" / kind.dataset
    folder.mkdir(parents=True)
    for split, file in kind.usual_splits.items():
        rows = read_jsonl(world.folder / f"{split}.jsonl")
        if name == "mmlu":
            rows = [
                {**row, "choices": [*row["golden_answers"], "nobody"], "golden_answers": [0]}
                for row in rows
            ]
        if name == "fever":
            rows = [
                {**row, "golden_answers": [("SUPPORTS", "REFUTES")[n % 2]]}
                for n, row in enumerate(rows)
            ]
        write_jsonl(folder / f"{file}.jsonl", rows)
    card = {"config_name": kind.dataset, "data_files": []}
    for file in kind.usual_splits.values():
        card["data_files"].append({"split": file, "path": f"{kind.dataset}/{file}.jsonl"})
    (folder.parent / "README.md").write_text(f"---\n{json.dumps({'configs': [card]})}\n---\n")
    reader = [c for c in config["trainer"]["callbacks"] if c["class_path"] == "GeneratorInTheLoop"]
    for callback in reader:
        assert callback["init_args"]["generator"]["class_path"] == "ExtractiveReader"
        callback["init_args"]["generator"]["init_args"] = {
            "model": tiny_reader,
            "max_length": 48,
            "stride": 8,
        }
    status, _, err = radio(
        *("fit", "--config", str(ROOT / f"configs/{name}.yaml"), "--trainer.fast_dev_run", "true"),
        *(
            "--trainer.accelerator",
            "cpu",
            "--trainer.logger",
            "false",
            "--trainer.enable_progress_bar",
            "false",
        ),
        *("--trainer.callbacks", json.dumps([{"class_path": "RankEvaluation"}, *reader])),
        *("--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"),
        *("--data.init_args.repository", str(folder.parent), "--data.init_args.retriever", "BM25"),
        *("--data.init_args.corpus", str(world.folder / "corpus.jsonl")),
        *("--data.init_args.rationales", "Recorded"),
        *("--data.init_args.rationales.init_args.paths", str(world.folder / "rationales.jsonl")),
        *(
            "--data.init_args.teacher.init_args.rationale.init_args.encoder.init_args.model",
            tiny_bert,
        ),
        *(
            "--data.init_args.teacher.init_args.rationale.init_args.encoder.init_args.max_length",
            "48",
        ),
    )
    assert status == 0, err
