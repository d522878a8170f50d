"""An evaluation as tables for the loggers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.evaluation.results import Results
from radio.reporting.evaluated import Evaluated, evaluated, plain
from tests.reporting.evaluating import ANSWER, evaluate


def of(folder: Path, most: int = 1_000) -> Evaluated:
    found = evaluated(folder, "test", most)
    assert found is not None
    return found


def test_the_figures_are_those_of_the_run_folder(tmp_path: Path) -> None:
    found = of(evaluate(tmp_path))
    document = json.loads((tmp_path / "metrics.json").read_text())
    rows = [dict(zip(found.figures.columns, row, strict=True)) for row in found.figures.rows]
    by_metric = {row["metric"]: row for row in rows}
    assert set(by_metric) == {"em", "em@1", "em@3", "nDCG@5"}
    first = by_metric["em@1"]
    assert first["questions"] == 12
    for system in ("retriever", "base", "tuned"):
        low, high = document["intervals"]["test"][system]["em@1"]
        expected = (document["test"][system]["em@1"], low, high)
        assert (first[system], first[f"{system}, low"], first[f"{system}, high"]) == expected
    paired = document["differences"]["test"]["tuned - base"]["em@1"]
    names = ("tuned - base", "tuned - base, low", "tuned - base, high")
    assert [first[name] for name in names] == [paired[k] for k in ("difference", "low", "high")]
    # without passages there is no depth, and no difference to the base
    assert by_metric["em"]["closed_book"] is not None
    assert (first["closed_book"], by_metric["em"]["tuned"]) == (None, None)
    assert by_metric["em"]["tuned - base"] is None
    assert found.shown.columns[0] == "metric"
    assert len(found.shown.rows) == len(rows)


def test_a_curve_has_every_depth_of_every_system_that_reads_passages(tmp_path: Path) -> None:
    found = of(evaluate(tmp_path))
    # nDCG@5 was taken at one depth
    assert list(found.curves) == ["em"]
    curve = found.curves["em"]
    assert curve.columns == ["k", "system", "mean", "low", "high"]
    places = [(row[1], row[0]) for row in curve.rows]
    assert places == [(name, k) for name in ("retriever", "base", "tuned") for k in (1, 3)]


def test_each_question_says_whether_it_was_won(tmp_path: Path) -> None:
    found = of(evaluate(tmp_path))
    rows = [dict(zip(found.questions.columns, row, strict=True)) for row in found.questions.rows]
    outcomes = [row["outcome"] for row in rows]
    assert outcomes == ["won", "tied", "lost", "tied"] * 3
    assert "questions: tuned against base in em@1" in found.notes
    first = rows[0]
    assert first["id"] == "q0"
    assert first["golden answers"] == "Ada | A|B"
    assert first["tuned: em@1"] == 1.0
    assert (first["tuned: answer@1"], first["tuned: answer@3"]) == (ANSWER, None)
    assert first["tuned: first 5 passages"] == "p0 | p1 | p2 | p3 | p4"
    assert first["closed_book: em"] == 1.0
    assert "closed_book: first 5 passages" not in first
    assert found.left_out is None
    assert found.notes[0].startswith("test: 12 of 15 questions (3 without candidates)")


def test_texts_are_on_one_line_and_turn_nothing() -> None:
    assert plain("a\n\tb\x1b[2J\u202ec") == "a b?[2J[U+202E]c"
    assert plain(None) is None


def test_what_was_won_or_lost_comes_first_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    found = of(evaluate(tmp_path, 40), most=22)
    outcomes = [row[3] for row in found.questions.rows]
    assert (outcomes.count("won"), outcomes.count("lost"), outcomes.count("tied")) == (10, 10, 2)
    assert found.left_out == (
        "questions: the table has 22 of 40: 20 of the 20 that were won or lost, the others at "
        "random; predictions.jsonl has all"
    )
    assert found.notes[-1] == found.left_out


def test_without_a_base_the_retriever_is_what_is_won_against(tmp_path: Path) -> None:
    results = Results()
    for system, value in (("retriever", 0.2), ("tuned", 0.1)):
        results.add("test", system, "q", {"RR@10": value, "unparsed": value})
    results.write(tmp_path)
    found = of(tmp_path)
    assert found.questions.rows[0][:4] == ["q", None, None, "lost"]
    assert "questions: tuned against retriever in RR@10" in found.notes


@pytest.mark.parametrize("system", ["retriever", "annotated"])
def test_one_system_alone_wins_nothing(system: str, tmp_path: Path) -> None:
    results = Results()
    results.add("test", system, "q", {"RR@10": 0.5})
    results.write(tmp_path)
    found = of(tmp_path)
    assert found.questions.rows[0][3] is None
    assert not any("against" in note for note in found.notes)
    assert evaluated(tmp_path, "validation") is None
