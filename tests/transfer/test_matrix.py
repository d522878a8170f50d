"""The file of a matrix: its entries, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from radio.schema import InputError
from radio.transfer.matrix import Entry, read_matrix
from tests.conftest import ROOT

GENERATOR = {"class_path": "SpanReader"}
WHOLE: dict[str, Any] = {
    "datasets": {"nq": "datasets/nq"},
    "rerankers": {"base": "rerankers/cross_encoder"},
    "generators": {"span": GENERATOR},
}


def written(folder: Path, tree: object) -> str:
    path = folder / "matrix.yaml"
    path.write_text(yaml.safe_dump(tree))
    return str(path)


def test_what_is_not_given_has_a_default(tmp_path: Path) -> None:
    found = read_matrix(written(tmp_path, WHOLE))
    assert (found.name, found.split, found.top_k) == ("transfer", "test", 5)
    assert found.baseline == "retriever"
    assert found.folder == Path("runs/transfer")
    assert found.datasets == {"nq": Entry((str(ROOT / "configs/datasets/nq.yaml"),))}
    assert found.generators == {"span": GENERATOR}


def test_entries_are_configs_parts_keys_folders_or_names_of_the_hub(tmp_path: Path) -> None:
    export = tmp_path / "run" / "export"
    export.mkdir(parents=True)
    (export / "radio.json").write_text(json.dumps({"class": "BiEncoder", "init_args": {}}))
    plain = tmp_path / "plain"
    plain.mkdir()
    part = {"class_path": "LateInteraction", "init_args": {"model": "x"}}
    keys = {"model": {"init_args": {"lr": 0.1}}, "trainer": {"accelerator": "cpu"}}
    given = {
        "exported": str(export),
        "run": str(tmp_path / "run"),
        "plain": str(plain),
        "hub": "BAAI/bge-reranker-base",
        "part": part,
        "keys": keys,
        "merged": ["rerankers/ance", "rerankers/lora"],
        "cort": "rerankers/cort",
    }
    found = read_matrix(written(tmp_path, {**WHOLE, "rerankers": given})).rerankers

    def of(kind: str, model: object) -> Entry:
        settings = {"model": str(model)}
        return Entry(trees=({"model": {"class_path": kind, "init_args": settings}},))

    assert found["exported"] == found["run"] == of("BiEncoder", export)
    assert found["plain"] == of("CrossEncoder", plain)
    assert found["hub"] == of("CrossEncoder", "BAAI/bge-reranker-base")
    assert found["part"] == Entry(trees=({"model": part},))
    # what else an overlay changes is left alone: retriever and sampler are the dataset's
    assert found["keys"] == Entry(trees=({"model": keys["model"]},))
    models = [tree["model"] for tree in found["merged"].trees]
    assert models[0]["init_args"]["model"].endswith("msmarco-roberta-base-ance-firstp")
    assert "lora" in models[1]["init_args"]
    cort = yaml.safe_load((ROOT / "configs/rerankers/cort.yaml").read_text())
    assert cort.keys() > {"model", "data"}
    fused = cort["trainer"]["callbacks+"][0]
    assert fused["class_path"] == "Fused"
    assert found["cort"] == Entry(trees=({"model": cort["model"]},), fused=fused)


def test_a_generator_is_taken_out_of_its_overlay(tmp_path: Path) -> None:
    given = {"claude": "generators/claude"}
    found = read_matrix(written(tmp_path, {**WHOLE, "generators": given})).generators
    assert found["claude"]["class_path"] == "AnthropicGenerator"
    assert found["claude"]["init_args"]["max_tokens"] == 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reranker": {}}, "found the key 'reranker', expected some of name, folder, split"),
        ({"datasets": {}}, "datasets: found {}, expected at least one name"),
        ({"rerankers": ["a"]}, "rerankers: found ['a'], expected at least one name"),
        ({"split": "dev"}, "split: found 'dev', expected validation or test"),
        ({"top_k": 0}, "top_k: found 0, expected a whole number, 1 or more"),
        ({"top_k": [1, 3]}, "top_k: found [1, 3], expected one whole number"),
        ({"baseline": "bge"}, "baseline: found 'bge', expected one of retriever, base"),
        ({"name": "a/b"}, "name: found 'a/b', expected letters"),
        ({"datasets": {"n/q": "datasets/nq"}}, "datasets: n/q: expected a name of letters"),
        ({"datasets": {"nq": "datasets/nqq"}}, "which is no config; did you mean datasets/nq"),
        ({"datasets": {"nq": 3}}, "datasets: nq: found 3, expected the name of a config"),
        ({"rerankers": {"retriever": "rerankers/ance"}}, "which the retriever's own order has"),
        ({"rerankers": {"a": "datasets/nq"}}, "a: found no key 'model' in 'datasets/nq'"),
        ({"rerankers": {"a": "anse"}}, "rerankers: a: found 'anse', which is no config"),
        ({"generators": {"g": {}}}, "generators: g: found {}, expected the name of a config"),
        ({"generators": {"g": "quickstart"}}, "found 0 generators in quickstart, expected one"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        read_matrix(written(tmp_path, {**WHOLE, **change}))
    assert said in str(error.value)


def test_the_shipped_matrix_has_all_that_the_paper_and_its_summaries_name() -> None:
    found = read_matrix("matrices/published")
    assert list(found.datasets) == ["nq", "triviaqa", "mmlu", "musique"]
    assert {"ance", "colbert", "qwen3"} <= found.rerankers.keys()
    models = [spec["init_args"]["model"] for spec in found.generators.values()]
    assert models == ["meta-llama/Llama-3.1-8B-Instruct", "google/flan-t5-xxl", "gpt-4"]
