"""Judged passages: folders in BEIR's layout, and datasets of ir_datasets, here registered from
local files."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_modules import IRDatasetsDataModule
from radio.retrievers import BM25
from radio.schema import InputError, Passage
from radio.teachers import GoldPassages
from tests.conftest import ROOT, World, read_jsonl, shown, write_jsonl
from tests.data_modules.conftest import GRADES, HEADER

Radio = Callable[..., tuple[int, str, str]]


def module(tmp_path: Path, **options: Any) -> IRDatasetsDataModule:
    return IRDatasetsDataModule(
        retriever=BM25(), cache_dir=str(tmp_path / "cache"), eval_candidates=32, **options
    )


def subsets(dataset: str) -> dict[str, str]:
    return {split: f"{dataset}/{split}" for split in ("train", "validation", "test")}


@pytest.mark.parametrize("kind", ["folder", "gzip", "package"])
def test_queries_and_judgements_become_examples(
    kind: str, folder: Path, world: World, tmp_path: Path, request: Any
) -> None:
    options: dict[str, Any] = {"path": str(folder), "predict": None}
    if kind == "gzip":
        for path in [*folder.glob("*.jsonl"), *folder.glob("qrels/*.tsv")]:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    if kind == "package":
        options = subsets(request.getfixturevalue("dataset"))
    first = module(tmp_path, **options)
    first.prepare_data()
    data = module(tmp_path, **options)
    data.setup("fit")
    assert isinstance(data.teacher, GoldPassages)
    assert list(data.corpus.values()) == [
        Passage(row["id"], row["contents"]) for row in read_jsonl(world.folder / "corpus.jsonl")
    ]
    for split in ("train", "validation", "test"):
        questions = [example.question for example in data.examples[split]]
        rows = read_jsonl(world.folder / f"{split}.jsonl")
        assert [(q.id, q.query, q.golden_answers) for q in questions] == [
            (r["id"], r["question"], ()) for r in rows
        ]
        for example in data.examples[split]:
            place = f"port{example.question.id.split('-')[1]}"
            assert example.question.gold == {f"{place}-0": 2, f"{place}-1": 1}
            assert example.teacher is not None
            assert {p: s for p, s in example.teacher.items() if s} == {
                f"{place}-0": 1.0,
                f"{place}-1": 0.5,
            }


def test_all_queries_are_reranked_by_predict(folder: Path, dataset: str, tmp_path: Path) -> None:
    for options in ({"path": str(folder), "predict": "queries"}, {"predict": dataset}):
        data = module(tmp_path, **options)
        assert [q.id for q in data.questions("predict")] == [
            row["_id"] for row in read_jsonl(folder / "queries.jsonl")
        ]
        assert data.questions("train") == data.questions("test") == []
        assert len(data.corpus) == 32


def test_a_folder_gives_the_splits_that_it_has_or_that_are_named(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "qrels/dev.tsv").rename(folder / "qrels/mine.tsv")
    assert module(tmp_path, path=str(folder)).names == {"train": "train", "test": "test"}
    assert module(tmp_path, path=str(folder)).questions("validation") == []
    assert len(module(tmp_path, path=str(folder), validation="mine").questions("validation")) == 2
    with pytest.raises(InputError, match=r"qrels/dev\.tsv: no such file"):
        module(tmp_path, path=str(folder), validation="dev").questions("validation")
    with pytest.raises(
        InputError,
        match=r"no dataset is given .*, world has no qrels/train\.tsv, qrels/dev\.tsv or",
    ):
        module(tmp_path, path="world").questions("train")
    with pytest.raises(InputError, match=r"no dataset is given for train, .* nor a path"):
        module(tmp_path).prepare_data()


def test_the_title_is_the_first_line_and_nothing_else_is(tmp_path: Path) -> None:
    rows = [
        {"_id": 1, "title": "A\nlong title", "text": "text"},
        {"_id": "2", "title": "", "text": "no title"},
        {"_id": "3", "text": "two\nlines"},
        {"_id": "4", "title": None, "text": "", "metadata": {"url": "x"}},
    ]
    write_jsonl(tmp_path / "corpus.jsonl", rows)
    passages = list(module(tmp_path, path=str(tmp_path), train="train").corpus.values())
    assert [(p.id, p.title, p.text) for p in passages] == [
        ("1", "A long title", "text"),
        ("2", "", "no title"),
        ("3", "", "two\nlines"),
        ("4", "", ""),
    ]
    assert passages[1].contents == "no title"


ROW = '{"_id": "q-0-0", "text": "Who?"}\n'


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "queries.jsonl",
            ROW + '{"_id": "q',
            r"queries\.jsonl:2: not valid JSON .* expected one JSON object a line",
        ),
        (
            "queries.jsonl",
            '{"id": "q"}',
            r"queries\.jsonl:1: key '_id' is missing: found only the keys 'id', expected",
        ),
        (
            "queries.jsonl",
            ROW + '{"_id": "r"}',
            r"queries\.jsonl:2: key 'text' is missing: found only the keys '_id'",
        ),
        (
            "queries.jsonl",
            '{"_id": "q 1", "text": ""}',
            r"queries\.jsonl:1: key '_id': found 'q 1', expected .* without",
        ),
        (
            "queries.jsonl",
            ROW * 2,
            r"queries\.jsonl:2: id 'q-0-0' is a duplicate, first used at .*queries\.jsonl:1",
        ),
        ("queries.jsonl", "q1\tWho lit the lamp?\n", r"queries\.jsonl:1: not valid JSON"),
        (
            "queries.jsonl",
            ROW,
            r"train\.tsv: judged, but not among the queries: 11, such as 'q-0-1'",
        ),
        (
            "corpus.jsonl",
            '{"_id": "a", "text": "b"}\n' * 2,
            r"corpus\.jsonl:2: id 'a' is a duplicate, .*corpus\.jsonl:1",
        ),
        (
            "corpus.jsonl",
            '{"id": "a", "contents": "b"}',
            r"corpus\.jsonl:1: key '_id' is missing: found only .*'contents'",
        ),
        (
            "corpus.jsonl",
            '{"_id": "a", "title": 5, "text": ""}',
            r"corpus\.jsonl:1: key 'title': found a number \('5'\)",
        ),
        ("corpus.jsonl", "", r"corpus\.jsonl: the corpus is empty"),
        (
            "qrels/train.tsv",
            "",
            r"train\.tsv:1: found '', expected the header query-id corpus-id score",
        ),
        (
            "qrels/train.tsv",
            "q1\tp1\t1\n",
            r"train\.tsv:1: found 'q1\\tp1\\t1', expected the header",
        ),
        ("qrels/train.tsv", "q1 0 p1 1\n", r"train\.tsv:1: found 'q1 0 p1 1', expected the header"),
        (
            "qrels/train.tsv",
            HEADER + "q\tp\t1\nq\tr",
            r"train\.tsv:3: found 2 columns, expected 3: query-id corpus-id",
        ),
        ("qrels/train.tsv", HEADER + "q 0 p 1\n", r"train\.tsv:2: found 4 columns, expected 3"),
        (
            "qrels/train.tsv",
            HEADER + "q\tp\thigh\n",
            r"train\.tsv:2: column 3: found 'high', expected a finite score",
        ),
        (
            "qrels/train.tsv",
            HEADER + "q\tp\t1\nq\tp\t0\n",
            r"train\.tsv:3: found score 0 for \['q', 'p'\], which has 1",
        ),
        (
            "qrels/train.tsv",
            HEADER + "q-0-0\tp\t0\n",
            r"train\.tsv: no query has a relevant passage, expected a judge",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    file: str, text: str, message: str, folder: Path, tmp_path: Path
) -> None:
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=message):
        module(tmp_path, path=str(folder)).prepare_data()
    corpora = tmp_path / "cache/corpus"
    assert file != "corpus.jsonl" or shown(corpora) == []


@pytest.mark.parametrize("file", ["queries.jsonl", "corpus.jsonl", "qrels/train.tsv"])
def test_a_gzip_file_that_is_cut_off_is_named(file: str, folder: Path, tmp_path: Path) -> None:
    packed = gzip.compress((folder / file).read_bytes())
    (folder / f"{file}.gz").write_bytes(packed[: len(packed) // 2])
    (folder / file).unlink()
    with pytest.raises(
        InputError, match=rf"{Path(file).name}\.gz: the gzip file is damaged or cut off"
    ):
        module(tmp_path, path=str(folder)).prepare_data()


def test_a_judgement_that_is_corrected_is_taught_anew(folder: Path, tmp_path: Path) -> None:
    queries = read_jsonl(folder / "queries.jsonl")
    # two queries of the same text that are judged differently
    write_jsonl(
        folder / "queries.jsonl", [{**queries[0], "text": queries[1]["text"]}, *queries[1:]]
    )
    path = folder / "qrels/train.tsv"
    other = path.read_text().replace("q-0-0\tport0-0\t2", "q-0-0\tport0-0\t0")
    for text, best in ((path.read_text(), "port0-0"), (other, "port0-1")):
        path.write_text(text)
        data = module(tmp_path, path=str(folder))
        data.prepare_data()
        data.setup("fit")
        first, second, *_ = data.examples["train"]
        assert first.question.query == second.question.query
        assert first.teacher is not None
        assert second.teacher is not None
        assert {p for p, score in first.teacher.items() if score == 1} == {best}
        assert {p for p, score in second.teacher.items() if score == 1} == {"port0-0"}


@pytest.mark.parametrize("kind", ["folder", "package"])
def test_a_reranker_is_trained_and_used(
    kind: str, folder: Path, dataset: str, radio: Radio, tiny_bert: str, tmp_path: Path
) -> None:
    config = ["--config", str(ROOT / "configs/beir.yaml"), "--trainer.accelerator", "cpu"]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    tiny = ["--model.init_args.model", tiny_bert, "--model.init_args.max_length", "48"]
    path, names = ["--data.init_args.path", str(folder)], subsets(dataset)
    data = (
        path
        if kind == "folder"
        else [a for s, name in names.items() for a in (f"--data.init_args.{s}", name)]
    )
    status, out, err = radio(
        "fit", *config, "--name", "tiny", *quiet, *tiny, *data, "--trainer.max_epochs", "1"
    )
    assert status == 0, err
    assert "gold_nDCG@5" in out
    run = tmp_path / "runs/tiny"
    rows = [row for row in read_jsonl(run / "predictions.jsonl") if row["split"] == "test"]
    assert len(rows) == 2
    for row in rows:
        tuned, gold = row["tuned"], f"port{row['question_id'].split('-')[1]}"
        ranks = {grade: tuned["passage_ids"].index(f"{gold}-{n}") for n, grade in enumerate(GRADES)}
        gain = sum(grade / math.log2(rank + 2) for grade, rank in ranks.items() if rank < 5)
        assert tuned["gold_nDCG@5"] == pytest.approx(gain / (2 + 1 / math.log2(3)))
        # there are no answers to look for
        assert "nDCG@5" not in tuned
        assert "em" not in tuned
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["differences"]["test"]["tuned - base"]["gold_nDCG@5"]["questions"] == 2
    assert list((run / "checkpoints").glob("best*"))

    export = ["--model.init_args.model", str(run / "export")]
    chosen = (
        [*path, "--data.init_args.predict", "queries"]
        if kind == "folder"
        else ["--data.init_args.predict", dataset]
    )
    status, _, err = radio("predict", *config, "--name", "reranked", *quiet, *export, *chosen)
    assert status == 0, err
    predicted = read_jsonl(tmp_path / "runs/reranked/predict.jsonl")
    assert len(predicted) == len(read_jsonl(folder / "queries.jsonl"))
