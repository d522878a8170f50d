"""The tiny world as judged passages: in BEIR's layout, and as a dataset of ir_datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import World, read_jsonl, write_jsonl

HEADER = "query-id\tcorpus-id\tscore\n"
GRADES = (2, 1, 0)
"""Of the first passages about a topic; the first holds the answer."""


def judgements(world: World, split: str) -> list[tuple[str, str, int]]:
    ids = [row["id"] for row in read_jsonl(world.folder / f"{split}.jsonl")]
    return [(i, f"port{i.split('-')[1]}-{n}", grade) for i in ids for n, grade in enumerate(GRADES)]


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """The tiny world in BEIR's layout."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus, queries = read_jsonl(world.folder / "corpus.jsonl"), []
    for split, name in {"train": "train", "validation": "dev", "test": "test"}.items():
        rows = judgements(world, split)
        (folder / f"qrels/{name}.tsv").write_text(
            HEADER + "".join(f"{q}\t{p}\t{grade}\n" for q, p, grade in rows)
        )
        queries += [
            {"_id": r["id"], "text": r["question"]}
            for r in read_jsonl(world.folder / f"{split}.jsonl")
        ]
    # judged by nobody
    queries.append({"_id": "q-x", "text": "Who rang the bell?", "metadata": {}})
    write_jsonl(folder / "queries.jsonl", queries)
    parts = [(row["id"], *row["contents"].split("\n")) for row in corpus]
    write_jsonl(
        folder / "corpus.jsonl",
        [{"_id": i, "title": title, "text": text} for i, title, text in parts],
    )
    return folder


class Doc(NamedTuple):
    doc_id: str
    title: str
    text: str

    def default_text(self) -> str:
        return f"{self.title} {self.text}"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        # it makes its folders when it is imported
        patch.setenv("IR_DATASETS_HOME", str(tmp_path_factory.mktemp("ir_datasets")))
        return pytest.importorskip("ir_datasets")


SPLITS = ("train", "validation", "test")


def write_parts(folder: Path, world: World, tmp_path: Path) -> None:
    """Queries and judgements beside the folder, in the formats of TSV and TREC."""
    queries = [f"{row['_id']}\t{row['text']}\n" for row in read_jsonl(folder / "queries.jsonl")]
    (tmp_path / "queries.tsv").write_text("".join(queries))
    for split in SPLITS:
        rows = [
            f"{query} 0 {passage} {grade}\n" for query, passage, grade in judgements(world, split)
        ]
        (tmp_path / f"{split}.qrels").write_text("".join(rows))


def register(package: Any, name: str, source: Callable[[str], Any]) -> str:
    """A dataset with three subsets, whose parts are in three formats: JSONL, TSV, TREC.

    Args:
        package: ir_datasets.
        name: of the dataset.
        source: where the package takes a file from, by its name.
    """
    formats = package.formats
    mapping = {"doc_id": "_id", "title": "title", "text": "text"}
    docs = formats.JsonlDocs(source("beir/corpus.jsonl"), Doc, mapping)
    queries = formats.TsvQueries(source("queries.tsv"))
    package.registry.register(name, package.Dataset(docs, queries))
    for split in SPLITS:
        qrels = formats.TrecQrels(source(f"{split}.qrels"), {})
        package.registry.register(f"{name}/{split}", package.Dataset(docs, queries, qrels))
    return name


@pytest.fixture
def dataset(package: Any, folder: Path, world: World, tmp_path: Path) -> str:
    """Name of a dataset that the package reads from local files."""
    write_parts(folder, world, tmp_path)
    return register(
        package, f"radio-{tmp_path.name}", lambda name: package.util.LocalDownload(tmp_path / name)
    )
