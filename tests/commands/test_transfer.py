"""``radio transfer`` from a file to its tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, World, make_world

Radio = Callable[..., tuple[int, str, str]]


def dataset(world: World, tiny_bert: str) -> dict[str, Any]:
    """Keys of a config of the small world."""
    settings = {name: str(world.folder / f"{name}.jsonl") for name in ("corpus", "train", "test")}
    return {
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
        "model": {"class_path": "CrossEncoder", "init_args": {"model": tiny_bert}},
        "data": {
            "class_path": "JsonlDataModule",
            "init_args": {**settings, "retriever": {"class_path": "BM25"}, "eval_candidates": 4},
        },
    }


def matrix(world: World, tiny_bert: str, **generators: Any) -> str:
    encoder = {"model": tiny_bert, "max_length": 48}
    tree = {
        "name": "m",
        "top_k": 2,
        "baseline": "one",
        "datasets": {"small": dataset(world, tiny_bert)},
        "rerankers": {
            "one": {"class_path": "BiEncoder", "init_args": encoder},
            "two": {"class_path": "BiEncoder", "init_args": {**encoder, "query_prefix": "fog "}},
        },
        "generators": generators,
    }
    path = Path("matrix.yaml")
    path.write_text(yaml.safe_dump(tree))
    return str(path)


@pytest.mark.slow
def test_one_failing_cell_does_not_lose_the_others(
    radio: Radio, tmp_path: Path, tiny_bert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")
    world = make_world(tmp_path / "world", topics=24)
    broken = {"class_path": "ExtractiveReader", "init_args": {"model": str(tmp_path / "none")}}
    path = matrix(world, tiny_bert, span={"class_path": "SpanReader"}, broken=broken)
    status, out, _ = radio("transfer", "--config", path)
    assert status == 1
    document = json.loads(Path("runs/m/transfer.json").read_text())
    rows = {(row["reranker"], row["generator"]): row for row in document["cells"]}
    for reranker in ("retriever", "one", "two"):
        assert rows[reranker, "span"]["measures"]["em"]["questions"] == 8
        assert "failed" in rows[reranker, "broken"]
    assert rows["two", "span"]["measures"]["em"]["gain"]["questions"] == 8
    assert "small x one x broken failed: " in out
    assert str(tmp_path / "none") in rows["one", "broken"]["failed"]
    # the reader that works is a plain run
    assert Path("runs/m/small/one+span/test.tuned.trec").is_file()


def test_a_mistake_in_the_file_is_one_message(radio: Radio) -> None:
    Path("matrix.yaml").write_text("datasets: {nq: datasets/nq}\n")
    status, _, err = radio("transfer", "--config", "matrix.yaml")
    assert status == 2
    assert "matrix.yaml: rerankers: found None, expected at least one name" in err
