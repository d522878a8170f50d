"""The dissection of the teachers: its data, its swapped rationales, its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.dissection import runs, tables
from benchmarks.dissection.settings import ASKS, TEACHERS, of_training
from benchmarks.results.settings import DATA
from radio.schema import Question, RetrievedPassage
from radio.teachers import AnswerMatch, Gated, RetrievalScore
from tests.conftest import read_jsonl, write_jsonl

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a dissection of twenty questions."""
    monkeypatch.setattr(runs, "WORK", tmp_path)
    return tmp_path / "20"


@needs_data
def test_the_data_has_questions_with_rationales_and_none_of_the_test_split(work: Path) -> None:
    folder = runs.prepare_data(20)
    assert folder == work / "data"
    have = {row["id"] for row in read_jsonl(DATA / "rationales/nq/train.jsonl")}
    train = read_jsonl(folder / "dataset/nq/train.jsonl")
    assert len(train) == 20
    assert {row["id"] for row in train} <= have
    assert len(read_jsonl(folder / "dataset/nq/dev.jsonl")) == 200
    assert not (folder / "dataset/nq/test.jsonl").exists()
    assert list((folder / "corpus").iterdir())
    # once more it is the same
    assert runs.prepare_data(20) == folder


@needs_data
@pytest.mark.parametrize(("share", "moved"), [(0, 0), (10, 2), (30, 6), (50, 10)])
def test_swapped_rationales_belong_to_another_question(work: Path, share: int, moved: int) -> None:
    own = {row["id"]: row["rationale"] for row in read_jsonl(DATA / "rationales/nq/train.jsonl")}
    rows = read_jsonl(runs.swapped(20, share))
    assert len(rows) == 20
    wrong = [row for row in rows if row["rationale"] != own[row["id"]]]
    assert len(wrong) == moved
    # none is lost, none stands twice
    assert sorted(row["rationale"] for row in rows) == sorted(own[row["id"]] for row in rows)


def test_each_teacher_has_a_config_file_and_its_judge_is_another_generator(work: Path) -> None:
    files = runs.overlays(20)
    assert files.keys() == TEACHERS.keys()
    for name, path in files.items():
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert tree["data"]["init_args"]["teacher"] == TEACHERS[name]
    asking = {name for name, spec in TEACHERS.items() if "model" in str(spec.get("init_args"))}
    assert ASKS.keys() <= asking


def test_a_teacher_that_asks_teaches_training_questions_alone_and_scores_them_the_same() -> None:
    spec = of_training(TEACHERS["likelihood"])
    assert spec["class_path"] == "Gated"
    assert spec["init_args"]["teacher"] == TEACHERS["likelihood"]
    assert spec["init_args"]["gate"] == TEACHERS["q_a_r"]
    # whatever the gate says
    passages = [RetrievedPassage(str(place), text, place) for place, text in enumerate("abc")]
    question = Question("q", "which?", ("a", "b"))
    taught = Gated(AnswerMatch(), gate=RetrievalScore(), floor=spec["init_args"]["floor"])
    expected = AnswerMatch().score(question, None, passages)
    assert taught.score(question, None, passages) == expected == [1.0, 1.0, 0.0]


def test_a_few_questions_are_seen_more_often_than_many(work: Path) -> None:
    def epochs(count: int) -> str:
        words = runs.common(count, "x")
        return words[words.index("--trainer.max_epochs") + 1]

    assert (epochs(100), epochs(1000)) == ("10", "3")


def test_tables_compare_with_the_published_text_and_mark_a_generator_that_judges_itself(
    work: Path,
) -> None:
    lines = []
    for number in range(40):
        hit = float(number % 2)
        lines.append(
            {
                "id": f"q{number}",
                "compared": number > 0,
                "teachers": {
                    "q_a_r": {"scores": [1.0], "P@1": hit, "qwen_em@1": hit},
                    "likelihood": {"scores": [1.0], "P@1": 1.0, "qwen_em@1": 1.0},
                },
            }
        )
    (work / "report").mkdir(parents=True)
    write_jsonl(work / "report" / "teachers.jsonl", lines)
    rows = tables.of_teachers(20)
    assert len(rows["q_a_r"]["P@1"]) == 39
    _, _, published, asked = tables.table(rows, ["P@1", "qwen_em@1", "extractive_em@1"])
    # 20 of 39
    assert published.startswith("| q_a_r | - | 51.3 [")
    assert "asked itself" not in published
    assert asked.startswith("| likelihood | qwen | 100.0 [100.0, 100.0]; +48.7 (p < 0.001) |")
    assert "100.0 [100.0, 100.0] (asked itself); +48.7 (p < 0.001) | - |" in asked


@needs_data
def test_questions_where_the_string_and_the_support_disagree(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.prepare_data(20)
    found = tables.conflicting(20, "train")
    train = {row["id"]: row for row in read_jsonl(work / "data/dataset/nq/train.jsonl")}
    assert found & train.keys()
    for question in found & train.keys():
        assert train[question]["metadata"]["gold_ids"]
    # of one candidate, it cannot be; dev questions have all of theirs
    on_dev = tables.conflicting(20, "dev")
    monkeypatch.setattr(tables, "TRAIN_CANDIDATES", 1)
    assert found
    assert not tables.conflicting(20, "train")
    assert on_dev == tables.conflicting(20, "dev")
