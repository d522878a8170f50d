"""No question is dropped in silence: what limits, overlaps and datasets leave out is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_modules import IRDatasetsDataModule, MMLUDataModule
from radio.data.splits import SplitCounts
from radio.evaluation.table import show_table
from radio.retrievers import BM25
from radio.schema import InputError
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


def test_questions_of_the_same_text_and_answers_are_all_trained_on(world: World) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    write_jsonl(world.folder / "train.jsonl", [*rows, {**rows[0], "id": "twin"}])
    rationales = read_jsonl(world.folder / "rationales.jsonl")
    reason = next(row["rationale"] for row in rationales if row["id"] == rows[0]["id"])
    write_jsonl(
        world.folder / "rationales.jsonl", [*rationales, {"id": "twin", "rationale": reason}]
    )
    data = module(world)
    data.prepare_data()
    data.setup("fit")
    examples = {e.question.id: e for e in data.examples["train"]}
    assert list(examples) == [*(row["id"] for row in rows), "twin"]
    assert examples["twin"].teacher == examples[rows[0]["id"]].teacher
    assert examples["twin"].teacher is not None


def test_what_limits_and_overlaps_leave_out_is_counted(world: World) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    validation = read_jsonl(world.folder / "validation.jsonl")
    write_jsonl(world.folder / "train.jsonl", [{**validation[0], "id": "copy"}, *rows])
    data = module(world, max_questions={"train": 5}, overlapping_questions="drop")
    counts = data.counts("train")
    assert counts == SplitCounts(13, {"beyond max_questions": 8, "in a later split too": 1})
    assert counts.used == len(data.split_questions("train")) == 4
    assert str(counts) == "4 of 13 questions (8 beyond max_questions, 1 in a later split too)"
    assert str(data.counts("test")) == "2 questions"
    assert data.counts("train") == counts, "asked again, nothing is counted twice"


def test_the_table_says_of_how_many_questions_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "test": {"base": {"RR@10": 0.5}},
        "intervals": {"test": {"base": {}}},
        "differences": {"test": {}},
        "questions": {"test": 4},
        "of_questions": {"test": 13},
        "left_out": {"test": {"beyond max_questions": 8, "in a later split too": 1}},
    }
    show_table(document, "test")
    words = " ".join(capsys.readouterr().out.split())
    assert "test: 4 of 13 questions (8 beyond max_questions, 1 in a later split too)" in words


def test_what_a_dataset_leaves_out_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "dataset/mmlu"
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {
            "id": f"q{n}",
            "question": f"Question {n}?",
            "choices": ["a", "b"],
            "golden_answers": [0],
            "metadata": {"subject": "law" if n % 3 else "art"},
        }
        for n in range(9)
    ]
    write_jsonl(folder / "Test.JSONL", rows)
    settings: dict[str, Any] = {"retriever": BM25(), "cache_dir": str(tmp_path / "cache")}
    data = MMLUDataModule(
        path=str(tmp_path), subjects=["law"], max_questions={"test": 4}, **settings
    )
    assert data.counts("test") == SplitCounts(
        9, {"of other subjects or kinds": 3, "beyond max_questions": 2}
    )
    data.questions("test")
    assert data.counts("test").total == 9, "asked again, nothing is counted twice"

    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    write_jsonl(beir / "queries.jsonl", [{"_id": f"q{n}", "text": f"Query {n}"} for n in range(3)])
    write_jsonl(beir / "corpus.jsonl", [{"_id": "p", "text": "text"}])
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\tp\t1\nq1\tp\t0\n")
    judged = IRDatasetsDataModule(path=str(beir), **settings)
    assert judged.counts("test") == SplitCounts(2, {"without a relevant passage": 1})


def test_max_questions_takes_the_first_ones(world: World) -> None:
    data = module(world, max_questions={"train": 3})
    data.prepare_data()
    data.setup("fit")
    assert [e.question.id for e in data.examples["train"]] == [
        r["id"] for r in read_jsonl(world.folder / "train.jsonl")[:3]
    ]
    with pytest.raises(InputError, match="max_questions"):
        module(world, max_questions={"dev": 3})


def test_an_id_names_one_question_of_all_splits(world: World) -> None:
    rows = read_jsonl(world.folder / "test.jsonl")
    known = read_jsonl(world.folder / "train.jsonl")[0]["id"]
    write_jsonl(world.folder / "test.jsonl", [{**rows[0], "id": known}, *rows[1:]])
    with pytest.raises(
        InputError, match=f"question id '{known}' stands twice, in train and in test"
    ):
        module(world).prepare_data()


def test_what_two_splits_share_is_an_error_or_left_out_of_the_earlier_one(world: World) -> None:
    train, test = (read_jsonl(world.folder / f"{name}.jsonl") for name in ("train", "test"))
    shared = [
        {**row, "id": f"copy-{row['id']}", "question": row["question"].upper() + "?"}
        for row in train[:2]
    ]
    # the same words, but other choices to choose from
    other = {**train[2], "id": "other", "choices": ["a", "b"]}
    write_jsonl(world.folder / "test.jsonl", [*test, *shared, other])
    with pytest.raises(
        InputError, match=r"the same question is in two splits: '.*' in train and 'copy-.*' in test"
    ):
        module(world).prepare_data()
    data = module(world, overlapping_questions="drop")
    assert [q.id for q in data.split_questions("train")] == [row["id"] for row in train[2:]]
    assert len(data.split_questions("test")) == len(test) + 3
