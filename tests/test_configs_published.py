"""The published setting: the same for every dataset, with the paper's numbers, and trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import data_modules
from data_modules import (
    FEVERDataModule,
    FlashRAGDataModule,
    MMLUDataModule,
    PopQADataModule,
)
from tests.conftest import SHARED, World, make_world, read_jsonl, write_jsonl

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


printed: dict[tuple[str, ...], str] = {}
"""What the command prints of the configs of these names, which the tests below ask for again."""


def merged(radio: Any, *names: str) -> dict[str, Any]:
    """What ``radio fit`` takes of these configs."""
    if names not in printed:
        files = [word for name in names for word in ("--config", name)]
        status, out, err = radio("fit", *files, "--print_config")
        assert status == 0, err
        printed[names] = out
    config: dict[str, Any] = yaml.safe_load(printed[names])
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
    assert blend["init_args"]["weights"] == [0.5, 0.5]
    assert blend["init_args"]["normalise"] == "min_max"
    similarity, retrieval = blend["init_args"]["teachers"]
    assert retrieval["class_path"].endswith(".RetrievalScore")
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
    generator = reader["init_args"]["generator"]
    assert generator["class_path"].endswith(".TransformersGenerator")
    assert generator["init_args"]["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert generator["init_args"]["max_length"] == 1024


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_answered_by_the_published_generator(name: str, radio: Any) -> None:
    config = merged(radio, "published", f"datasets/{name}")
    callbacks = [c["class_path"].split(".")[-1] for c in config["trainer"]["callbacks"]]
    assert callbacks == [
        "RankEvaluation",
        "GeneratorInTheLoop",
        "ModelCheckpoint",
        "ExportHuggingFace",
    ]


def test_the_published_setting_alone_asks_for_a_dataset(radio: Any) -> None:
    status, _, err = radio("fit", "--config", "published")
    assert status == 2
    assert "published.yaml" in err
    assert "name one: --data" in err


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
            "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args.model",
            tiny_bert,
        ),
        *(
            "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args.max_length",
            "48",
        ),
        *("--data.init_args.max_questions", "{train: 20, validation: 5, test: 5}"),
    )
    assert status == 0, err


def hub_of(kind: type[FlashRAGDataModule], world: World, repository: Path) -> str:
    """The questions of a small world, laid out as the dataset's repository on the hub."""
    folder = repository / kind.dataset
    folder.mkdir(parents=True)
    card: dict[str, Any] = {"config_name": kind.dataset, "data_files": []}
    for split, file in kind.usual_splits.items():
        rows = read_jsonl(world.folder / f"{split}.jsonl")
        for number, row in enumerate(rows):
            if kind is MMLUDataModule:
                row["choices"] = [*row["golden_answers"], "nobody"]
                row["golden_answers"] = [0]
            if kind is FEVERDataModule:
                row["golden_answers"] = [("SUPPORTS", "REFUTES")[number % 2]]
        write_jsonl(folder / f"{file}.jsonl", rows)
        card["data_files"].append({"split": file, "path": f"{kind.dataset}/{file}.jsonl"})
    (repository / "README.md").write_text(f"---\n{json.dumps({'configs': [card]})}\n---\n")
    return str(repository)


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_is_trained_on_from_its_config(
    name: str, radio: Any, tiny_bert: str, tiny_generator: str, tmp_path: Path
) -> None:
    """A step and an evaluation with random models, on a repository that is laid out as the
    hub's."""
    config = merged(radio, "published", f"datasets/{name}")
    kind = getattr(data_modules, config["data"]["class_path"].split(".")[-1])
    world = make_world(tmp_path / "world")
    repository = hub_of(kind, world, tmp_path / "repository")
    callbacks = config["trainer"]["callbacks"]
    reader = [c for c in callbacks if c["class_path"].endswith("GeneratorInTheLoop")]
    for callback in reader:
        assert callback["init_args"]["generator"]["class_path"].endswith("TransformersGenerator")
        callback["init_args"]["generator"]["init_args"] = {
            "model": tiny_generator,
            "max_length": 200,
            "max_tokens": 4,
            "accelerator": "cpu",
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
        *("--data.init_args.repository", repository, "--data.init_args.retriever", "BM25"),
        *("--data.init_args.corpus", str(world.folder / "corpus.jsonl")),
        *("--data.init_args.rationales", "Recorded"),
        *("--data.init_args.rationales.init_args.paths", str(world.folder / "rationales.jsonl")),
        *(
            "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args.model",
            tiny_bert,
        ),
        *(
            "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args.max_length",
            "48",
        ),
    )
    assert status == 0, err


def test_popqa_is_evaluated_alone(
    radio: Any, tiny_bert: str, tiny_reader: str, tmp_path: Path
) -> None:
    """No question is trained on, and no rationale asked for."""
    world = make_world(tmp_path / "world")
    repository = hub_of(PopQADataModule, world, tmp_path / "repository")
    reader = {"class_path": "ExtractiveReader", "init_args": {"model": tiny_reader}}
    callback = {"class_path": "GeneratorInTheLoop", "init_args": {"generator": reader}}
    status, out, err = radio(
        *("test", "--config", "published", "--config", "datasets/popqa"),
        *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        *("--trainer.callbacks", json.dumps([{"class_path": "RankEvaluation"}, callback])),
        # a cross-encoder's head would be drawn at random
        *("--model", "BiEncoder", "--model.init_args.model", tiny_bert),
        *("--model.init_args.max_length", "48", "--data.init_args.retriever", "BM25"),
        *("--data.init_args.repository", repository),
        *("--data.init_args.corpus", str(world.folder / "corpus.jsonl")),
    )
    assert status == 0, err
    assert "run folder: runs/popqa" in out
    metrics = json.loads((tmp_path / "runs/popqa/metrics.json").read_text())
    assert "test" in metrics
