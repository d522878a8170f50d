"""Results: means, paired differences by question id, files that keep what an earlier command
wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from radio.evaluation.files import VERSION
from radio.evaluation.results import Results, gain_over_base
from radio.schema import Question
from tests.conftest import read_jsonl


def results() -> Results:
    found = Results()
    for number in range(20):
        for system, em in (
            ("retriever", 0.0),
            ("base", float(number % 4 == 0)),
            ("tuned", float(number % 2 == 0)),
        ):
            found.add("test", system, f"q{number}", {"em": em}, answer=f"{system} {number}")
    return found


def test_differences_are_paired_by_question() -> None:
    found = results()
    found.add("test", "tuned", "only tuned has it", {"em": 1.0})
    paired = found.difference("test", "tuned", "base")["em"]
    assert paired["questions"] == 20
    assert paired["difference"] == pytest.approx(0.25)
    assert paired["low"] <= 0.25 <= paired["high"]
    assert 0 < paired["low"] < paired["high"] < 0.5


def test_files_agree_and_splits_of_an_earlier_command_are_kept(tmp_path: Path) -> None:
    results().write(tmp_path)
    later = Results()
    later.add("validation", "tuned", "v1", {"em": 1.0}, answer="x")
    later.write(tmp_path)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["test"]["tuned"]["em"] == 0.5
    assert document["validation"]["tuned"]["em"] == 1.0
    assert document["questions"] == {"test": 20, "validation": 1}
    rows = read_jsonl(tmp_path / "predictions.jsonl")
    assert [row["split"] for row in rows] == ["test"] * 20 + ["validation"]
    assert rows[0]["tuned"] == {"answer": "tuned 0", "em": 1.0}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.json", "predictions.jsonl"]


def test_rows_say_what_was_asked_and_the_document_of_which_version_it_is(tmp_path: Path) -> None:
    found = results()
    asked = Question("q0", "Who?", ("Ada",), ("Ada", "Bob"), {"gold_ids": ["p1"], "note": "n"})
    found.describe("test", [asked, Question("q1", "Why?"), Question("not evaluated", "?")])
    found.write(tmp_path)
    first, second, third, *_ = read_jsonl(tmp_path / "predictions.jsonl")
    assert first == {
        "split": "test",
        "question_id": "q0",
        "question": "Who?",
        "golden_answers": ["Ada"],
        "choices": ["Ada", "Bob"],
        "gold_ids": {"p1": 1.0},
        **{name: first[name] for name in ("retriever", "base", "tuned")},
    }
    assert (second["question"], second["golden_answers"]) == ("Why?", [])
    assert "question" not in third
    assert json.loads((tmp_path / "metrics.json").read_text())["version"] == VERSION


def test_a_question_with_a_line_separator_in_it_is_kept_by_the_next_command(tmp_path: Path) -> None:
    found = Results()
    found.add("validation", "tuned", "q", {"em": 1.0}, question="first\u2028second\x85third")
    found.write(tmp_path)
    later = Results()
    later.add("test", "tuned", "t", {"em": 1.0})
    later.write(tmp_path)
    lines = (tmp_path / "predictions.jsonl").read_bytes().decode().rstrip("\n").split("\n")
    assert [json.loads(line)["question_id"] for line in lines] == ["q", "t"]
    assert json.loads(lines[0])["tuned"]["question"] == "first\u2028second\x85third"


def gains(values: Sequence[float], metric: str = "nDCG@5") -> Results:
    """Of a tuned reranker that is better by so much."""
    found = Results()
    for number, value in enumerate(values):
        found.add("validation", "base", str(number), {metric: 0.5})
        found.add("validation", "tuned", str(number), {metric: 0.5 + value})
    return found


def test_a_run_is_judged_by_what_it_monitors_or_by_ndcg_or_mrr() -> None:
    found = gains([0.1, 0.2])
    for number in range(2):
        found.add("validation", "tuned", str(number), {"em": 1.0, "RR@10": 0.0})
        found.add("validation", "base", str(number), {"em": 0.0, "RR@10": 0.0})
    assert gain_over_base(found, "validation", "validation/em")["metric"] == "em"  # type: ignore[index]
    for other in (None, "validation/loss"):
        assert gain_over_base(found, "validation", other)["metric"] == "nDCG@5"  # type: ignore[index]
    assert gain_over_base(gains([0.1], "RR@10"), "validation")["metric"] == "RR@10"  # type: ignore[index]
    assert gain_over_base(Results(), "validation") is None


def test_systems_stand_in_one_order_in_the_files_and_notes_of_each_are_kept(tmp_path: Path) -> None:
    found = Results()
    for system in ("annotated", "tuned", "base", "closed_book"):
        found.add("test", system, "q", {"em": 1.0}, reply="x")
    found.note_of_system("test", "overall", "tuned", {"macro_f1": 0.5})
    found.note_of_system("test", "overall", "tuned", {"macro_accuracy": 0.25})
    groups = {"accuracy": {"STEM": {"mean": 0.5, "questions": 2}}}
    found.note_of_system("test", "breakdown", "base", groups)
    found.write(tmp_path)
    document = json.loads((tmp_path / "metrics.json").read_text())
    order = ["closed_book", "base", "tuned", "annotated"]
    assert list(document["test"]) == list(document["intervals"]["test"]) == order
    assert list(read_jsonl(tmp_path / "predictions.jsonl")[0])[2:] == order
    assert document["overall"]["test"] == {"tuned": {"macro_f1": 0.5, "macro_accuracy": 0.25}}
    assert document["breakdown"]["test"] == {"base": groups}
    # the next evaluation of the split has none
    later = Results()
    later.add("test", "tuned", "q", {"em": 1.0})
    later.write(tmp_path)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["overall"] == document["breakdown"] == {}


def test_counts_are_those_of_the_tuned_reranker_or_of_who_has_most(tmp_path: Path) -> None:
    found = Results()
    for number in range(4):
        found.add("test", "closed_book", f"q{number}", {"em": 1.0})
    for number in range(3):
        found.add("test", "tuned", f"q{number}", {"em@1": 1.0, "em": 0.0})
    found.write(tmp_path)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["counts"]["test"] == {"em": 3, "em@1": 3}
    assert document["questions"]["test"] == 4


def test_rows_say_what_was_taught(tmp_path: Path) -> None:
    found = results()
    scores = {"q0": {"p1": 0.5, "p2": 1.0}, "q1": {"p1": 0.0}, "not evaluated": {"p1": 1.0}}
    found.describe_lessons("test", scores, {"q0": "Because.", "q2": "No scores are of it."})
    found.write(tmp_path)
    first, second, third, *_ = read_jsonl(tmp_path / "predictions.jsonl")
    assert first["teacher_scores"] == {"p1": 0.5, "p2": 1.0}
    assert first["rationale"] == "Because."
    assert second["teacher_scores"] == {"p1": 0.0}
    assert "rationale" not in second
    assert "rationale" not in third
    found.start("test")
    found.add("test", "tuned", "q0", {"em": 1.0})
    found.write(tmp_path)
    assert "rationale" not in read_jsonl(tmp_path / "predictions.jsonl")[0]
