"""The published setting from questions to an exported reranker that a generator has read for: on
each of the paper's four datasets and on FEVER, with models that are tiny and local."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import data_modules
from radio.generators.tasks import task_of
from tests.conftest import make_world, read_jsonl
from tests.test_configs_published import hub_of, merged

TASKS = {
    "nq": "open_qa",
    "triviaqa": "open_qa",
    "mmlu": "multiple_choice",
    "musique": "multi_hop",
    "fever": "fact_verification",
}


@pytest.mark.parametrize("name", TASKS)
def test_the_published_setting_end_to_end(
    name: str,
    radio: Any,
    tiny_bert: str,
    tiny_generator: str,
    tiny_t5: str,
    tmp_path: Path,
) -> None:
    config = merged(radio, "published", f"datasets/{name}")
    kind = getattr(data_modules, config["data"]["class_path"].split(".")[-1])
    world = make_world(tmp_path / "world")
    callbacks = config["trainer"]["callbacks"]
    (reader,) = [c for c in callbacks if c["class_path"].endswith("GeneratorInTheLoop")]
    # one of the five is read for by an encoder-decoder
    generator = reader["init_args"]["generator"]
    assert generator["class_path"].endswith("TransformersGenerator")
    assert generator["init_args"]["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    generator["init_args"] |= {
        "model": tiny_t5 if name == "triviaqa" else tiny_generator,
        "max_tokens": 4,
        "accelerator": "cpu",
    }
    reader["init_args"] |= {"closed_book": True, "top_k": [1, 3]}
    encoder = "--data.init_args.teacher.init_args.teachers.0.init_args.encoder.init_args"
    status, out, err = radio(
        *("fit", "--config", "published", "--config", f"datasets/{name}", "--name", "whole"),
        *("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"),
        *("--trainer.enable_progress_bar", "false"),
        *("--trainer.callbacks", json.dumps(callbacks)),
        *("--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"),
        *("--data.init_args.repository", hub_of(kind, world, tmp_path / "repository")),
        *("--data.init_args.corpus", str(world.folder / "corpus.jsonl")),
        *("--data.init_args.retriever", "BM25", "--data.init_args.rationales", "Recorded"),
        *("--data.init_args.rationales.init_args.paths", str(world.folder / "rationales.jsonl")),
        *(f"{encoder}.model", tiny_bert, f"{encoder}.max_length", "48"),
    )
    assert status == 0, err
    folder = tmp_path / "runs/whole"
    assert (folder / "export/config.json").is_file()
    document = json.loads((folder / "metrics.json").read_text())
    task = task_of(TASKS[name])
    found = document["test"]
    assert list(found) == ["closed_book", "retriever", "base", "tuned"]
    right = task.metrics[0]
    assert right in found["closed_book"]
    for system in ("retriever", "base", "tuned"):
        for depth in (1, 3):
            assert 0 <= found[system][f"{right}@{depth}"] <= 1
            assert f"made_wrong@{depth}" in found[system]
    (notes,) = document["generators"]["test"]
    assert (notes["class"], notes["task"]) == ("TransformersGenerator", task.name)
    assert notes["total"]["failed"] == 0
    assert notes["total"]["prompt_tokens"] > 0
    count = document["questions"]["test"]
    assert notes["systems"]["tuned"]["answers"] == 2 * count
    # it was asked about each prompt once, in training or at the end
    rows = read_jsonl(folder / "predictions.jsonl")
    tested = [row for row in rows if row["split"] == "test"]
    assert len(tested) == count
    assert all(isinstance(row["tuned"]["reply@3"], str) for row in tested)
    unparsed = sum(row["tuned"][f"answer@{k}"] is None for row in tested for k in (1, 3))
    assert unparsed == notes["systems"]["tuned"]["unparsed"]
    assert f"test: {count} questions" in out
    assert "closed_book" in out
    # the loggers have its figures
    header = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {f"test/{right}@1", "generator/test/prompt_tokens"} <= set(header)
