"""The figures of teaching by similarity: both ways score alike, and what is counted is what was
embedded."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks import teachers
from tests.conftest import write_jsonl

TEXTS = [f"Lamp {n}\nThe lamp number {n} was lit by Ada in the fog." for n in range(6)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three questions with a rationale, and one without, that share some of their candidates."""
    rows = []
    for number in range(4):
        shown = []
        for place in range(number, number + 3):
            shown.append({"id": f"p{place}", "contents": TEXTS[place], "score": 5.0 - place})
        question = {"id": f"q{number}", "question": f"Who lit lamp {number}?"}
        rows.append({**question, "golden_answers": ["Ada"], "candidates": shown})
    for name in ("rationales/nq", "candidates/nq"):
        (tmp_path / name).mkdir(parents=True)
    with gzip.open(tmp_path / "candidates/nq/train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    said = [{"id": f"q{n}", "rationale": f"Ada lit the lamp number {n}."} for n in (0, 1, 3)]
    write_jsonl(tmp_path / "rationales/nq/train.jsonl", said)
    return tmp_path


def test_both_ways_give_the_same_scores_and_the_ratio_is_taken_apart(data: Path) -> None:
    found = teachers.speed(data, "nq", teachers.MODEL, 64, count=3, turn=2)
    assert (found["candidates"], found["distinct candidates"]) == (9, 6)
    assert found["largest difference of a score"] < 1e-4
    # 12 texts against 9
    assert found["of it, passages that come again"] == 1.33
    parts = found["of it, texts embedded a second"] * found["of it, passages that come again"]
    assert found["ratio"] == pytest.approx(parts, rel=0.05)
    assert set(found["questions/s"]) == {
        "published",
        "radio",
        "another template",
        "from the cache",
    }


def test_too_few_questions_are_said(data: Path) -> None:
    with pytest.raises(AssertionError, match="found 3 questions with a rationale in nq"):
        teachers.lessons_of(data, "nq", 5)


@pytest.mark.slow
def test_the_step_that_teaches_is_measured_in_a_process_of_its_own() -> None:
    found = teachers.scale(questions=40, candidates=5, passages=200)
    assert (found["questions"], found["passages"]) == (40, 200)
    memory = [found[name] for name in found if name.startswith("MiB")]
    assert memory == sorted(memory)
    assert memory[0] > 50


def test_what_is_generated_is_taught(tmp_path: Path) -> None:
    teachers.generate(tmp_path / "corpus.jsonl", 50)
    prepared = teachers.preparation(tmp_path, 4, 5, 50)
    teachers.find(prepared, 5)
    candidates = prepared.candidates("train")
    assert [len(found) for found in candidates.values()] == [5] * 4
    vectors = teachers.Network().encode_document(["a", "b", "a"])
    assert (vectors[0] == vectors[2]).all()
    assert abs(float(vectors[0] @ vectors[1])) < 0.5
