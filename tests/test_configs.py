"""Every YAML file in configs/ parses, its parts are built, and no part that is shipped is left
out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import data_modules
import radio.callbacks
import radio.generators
import radio.losses
import radio.rationales
import radio.rerankers
import radio.retrievers
import radio.samplers
import radio.teachers
from tests.conftest import ROOT, SHARED, make_world, read_jsonl, write_jsonl

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
DATASETS = [
    "nq",
    "triviaqa",
    "mmlu",
    "musique",
    "fever",
    "hotpotqa",
    "2wikimultihopqa",
    "web_questions",
]
"""Those with training questions."""
BELOW = {
    "configs": [],
    "datasets": ["published"],
    # the dataset's class is given first
    "datasets/local_folder": ["published", "datasets/nq"],
}
"""Configs on which one of a folder, or of a name, stands; the others stand on quickstart."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "configs").with_suffix("").as_posix()


def below(path: Path) -> list[str]:
    if path.name == "published.yaml":
        # it names no data
        return []
    return BELOW.get(name_of(path), BELOW.get(path.parent.name, ["quickstart"]))


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
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
    files = [str(ROOT / f"configs/{name}.yaml") for name in below(path)] + [str(path)]
    if path.name == "published.yaml":
        files.append(str(ROOT / "configs/datasets/nq.yaml"))
    if path.name == "export.yaml":
        # for a config without one, which no shipped config is
        (tmp_path / "bare.yaml").write_text("trainer: {callbacks: [RankEvaluation]}\n")
        files.insert(-1, str(tmp_path / "bare.yaml"))
    given = [word for file in files for word in ("--config", file)]
    monkeypatch.setattr(sys, "argv", ["radio", "fit", *given])
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


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_config_begins_with_a_sentence_that_says_what_it_is_for(path: Path) -> None:
    first, *_ = path.read_text().split("\n")
    assert first.startswith("# ")
    assert first.endswith(".")
    assert len(first) <= 100


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_config_needs_nothing_beside_the_configs(path: Path) -> None:
    assert "../" not in path.read_text()


def test_folders_of_overlays_are_named_as_the_modules() -> None:
    modules = {"callbacks", "generators", "losses", "rationales", "rerankers", "retrievers"}
    folders = {path.parent.name for path in CONFIGS} - {"configs"}
    assert folders == modules | {"samplers", "teachers", "datasets", "loggers", "recipes"}


# what is shipped, and the folders whose overlays name it
SHIPPED = {
    "losses": (radio.losses, radio.losses.Loss, ["losses"]),
    "teachers": (radio.teachers, radio.teachers.Teacher, ["teachers"]),
    "samplers": (radio.samplers, radio.samplers.GroupSampler, ["samplers"]),
    "retrievers": (radio.retrievers, radio.retrievers.Retriever, ["retrievers"]),
    "rerankers": (radio.rerankers, radio.rerankers.Reranker, ["rerankers"]),
    "generators": (radio.generators, radio.generators.Generator, ["generators"]),
    "rationales": (radio.rationales, radio.rationales.RationaleWriter, ["rationales"]),
    # GeneratorInTheLoop is what an overlay of a generator adds
    "callbacks": (radio.callbacks, object, ["callbacks", "generators"]),
    # those with files of their own or bundled stand in a config of their own
    "datasets": (data_modules, data_modules.RationaleDataModule, ["datasets", "configs"]),
}


@pytest.mark.parametrize("kind", SHIPPED)
def test_everything_that_is_shipped_has_an_overlay(kind: str) -> None:
    module, base, folders = SHIPPED[kind]
    names = getattr(module, "__all__", dir(module))
    classes = {name for name in names if isinstance(getattr(module, name), type)}
    shipped = {name for name in classes if issubclass(getattr(module, name), base)}
    named = set()
    for path in CONFIGS:
        if path.parent.name in folders:
            named |= set(_class_names(yaml.safe_load(path.read_text())))
    assert shipped - {base.__name__} - named == set()


def _class_names(node: Any) -> list[str]:
    """Every ``class_path`` in a tree."""
    if isinstance(node, list):
        return [name for item in node for name in _class_names(item)]
    if not isinstance(node, dict):
        return []
    own = [node["class_path"]] if "class_path" in node else []
    return own + [name for value in node.values() for name in _class_names(value)]


def test_every_loss_has_an_overlay() -> None:
    overlays = [
        yaml.safe_load(path.read_text()) for path in CONFIGS if path.parent.name == "losses"
    ]
    named = [overlay["model"]["init_args"]["loss"]["class_path"] for overlay in overlays]
    assert sorted(named) == sorted(set(radio.losses.__all__) - {"Loss"})


def merged(radio: Any, *names: str) -> dict[str, Any]:
    """What ``radio fit`` takes of these configs."""
    files = [word for name in names for word in ("--config", name)]
    status, out, err = radio("fit", *files, "--print_config")
    assert status == 0, err
    config: dict[str, Any] = yaml.safe_load(out)
    return config


def encoder(part: dict[str, Any]) -> tuple[str, int]:
    """Model and length of an encoder."""
    settings = part["init_args"]["encoder"]["init_args"]
    return settings["model"], settings["max_length"]


@pytest.mark.parametrize("name", DATASETS)
def test_the_published_setting_is_the_same_for_every_dataset(name: str, radio: Any) -> None:
    def shared(name: str) -> dict[str, Any]:
        config = merged(radio, "published", f"datasets/{name}")
        data = config["data"]
        for own in ("splits", "subjects", "choices_in_query"):
            data["init_args"].pop(own, None)
        assert config.pop("name") == name
        del data["class_path"]
        callbacks = config["trainer"]["callbacks"]
        config["trainer"]["callbacks"] = [
            c for c in callbacks if not c["class_path"].endswith("GeneratorInTheLoop")
        ]
        return config

    assert shared(name) == shared("nq")


def test_the_published_setting_is_what_was_published(radio: Any) -> None:
    """The table of the paper's settings (arXiv 2412.08519), row by row."""
    config = merged(radio, "published", "datasets/nq", "retrievers/faiss_index")
    trainer, model, data = (
        config["trainer"],
        config["model"]["init_args"],
        config["data"]["init_args"],
    )
    # candidates
    retriever = data["retriever"]
    assert retriever["class_path"].endswith(".Dense")
    assert retriever["init_args"]["index_path"] == "e5_Flat.index"
    assert encoder(retriever) == ("intfloat/e5-base-v2", 512)
    assert data["train_candidates"] == 50
    assert data["corpus"] == "wiki18_100w.jsonl"
    # rationale
    writer = data["rationales"]
    assert writer["class_path"].endswith(".OpenAIWriter")
    assert writer["init_args"]["model"] == "gpt-4o-mini"
    assert writer["init_args"]["prompt"] == "published"
    assert writer["init_args"]["sampling"] == {"temperature": 0.2}
    assert data["rationale_splits"] == ["train"]
    # blend of rationale and retrieval score
    blend = data["teacher"]
    assert blend["class_path"].endswith(".Blend")
    assert blend["init_args"]["weight"] == 0.5
    assert blend["init_args"]["retrieval"]["class_path"].endswith(".RetrievalScore")
    similarity = blend["init_args"]["rationale"]
    assert similarity["class_path"].endswith(".RationaleSimilarity")
    assert encoder(similarity) == ("BAAI/bge-m3", 512)
    assert similarity["init_args"]["template"] == "{question}. {answers}. {rationale}"
    # group
    assert data["sampler"]["class_path"].endswith(".Shift")
    assert data["sampler"]["init_args"] == {"positive": 0, "negatives": [3, 4, 6, 9, 13, 18]}
    # loss
    assert model["loss"]["class_path"].endswith(".InfoNCE")
    assert model["loss"]["init_args"]["temperature"] == 1.0
    assert model["loss"]["init_args"]["positives"] == 1
    # training
    assert config["model"]["class_path"].endswith(".CrossEncoder")
    assert model["model"] == "BAAI/bge-reranker-base"
    assert (model["lr"], model["weight_decay"], model["max_length"]) == (6e-5, 0.01, 512)
    assert (trainer["max_epochs"], trainer["accumulate_grad_batches"]) == (2, 4)
    assert data["batch_size"] == 16
    assert data["max_questions"] == {"train": 20000}
    # inference
    assert data["eval_candidates"] == 20
    (reader,) = [c for c in trainer["callbacks"] if "GeneratorInTheLoop" in c["class_path"]]
    assert reader["init_args"]["top_k"] == 5


@pytest.mark.parametrize("name", DATASETS)
def test_only_a_dataset_whose_answers_can_be_copied_has_a_reader(name: str, radio: Any) -> None:
    config = merged(radio, "published", f"datasets/{name}")
    callbacks = [c["class_path"].split(".")[-1] for c in config["trainer"]["callbacks"]]
    expected = ["RankEvaluation", "GeneratorInTheLoop", "ModelCheckpoint", "ExportHuggingFace"]
    if name in ("mmlu", "fever"):
        expected.remove("GeneratorInTheLoop")
    assert callbacks == expected


def test_the_published_setting_alone_asks_for_a_dataset(radio: Any) -> None:
    status, _, err = radio("fit", "--config", "published")
    assert status == 2
    assert "published.yaml" in err
    assert "name one: --data" in err


def test_recipes_and_overlays_of_the_benchmarks_merge(radio: Any) -> None:
    from benchmarks.recipes import configs

    arguments = configs("base", "both_sides", "answer_match", "answer_match_groups")
    status, out, err = radio("fit", *arguments, "--print_config")
    assert status == 0, err
    config = yaml.safe_load(out)
    assert config["trainer"]["accelerator"] == "cpu"
    assert config["model"]["init_args"]["train_side"] == "both"
    data = config["data"]["init_args"]
    assert data["teacher"]["class_path"].endswith(".AnswerMatch")
    assert (data["tied_questions"], data["sampler"]["init_args"]["size"]) == ("drop", 5)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["nq", "triviaqa", "mmlu", "musique", "fever"])
def test_a_folder_takes_the_place_of_hub_index_and_api(
    name: str, radio: Any, tiny_bert: str
) -> None:
    """On the shared data, with their rationales and candidates, and the rest as in the config."""
    files = (
        "--config",
        "published",
        "--config",
        f"datasets/{name}",
        "--config",
        "datasets/local_folder",
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


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_trained_on_from_its_config(
    name: str, radio: Any, tiny_bert: str, tiny_reader: str, tmp_path: Path
) -> None:
    """A step and an evaluation with random models, on a repository that is laid out as the
    hub's."""
    config = merged(radio, "published", f"datasets/{name}")
    kind = getattr(data_modules, config["data"]["class_path"].split(".")[-1])
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
    callbacks = config["trainer"]["callbacks"]
    reader = [c for c in callbacks if c["class_path"].endswith("GeneratorInTheLoop")]
    for callback in reader:
        assert callback["init_args"]["generator"]["class_path"].endswith("ExtractiveReader")
        callback["init_args"]["generator"]["init_args"] = {
            "model": tiny_reader,
            "max_length": 48,
            "stride": 8,
        }
    status, _, err = radio(
        *("fit", "--config", "published", "--config", f"datasets/{name}"),
        *("--trainer.fast_dev_run", "true"),
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
