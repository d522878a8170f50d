"""The table of a comparison, and what is said under it."""

from __future__ import annotations

from typing import Any

import pytest

from radio.evaluation import constant
from radio.evaluation.teachers.measure import Compared, Curve, measure
from radio.evaluation.teachers.table import cells, headings, remarks, show_table
from radio.generators import Answer, Prompt
from radio.llm.base import Failure
from radio.schema import Run
from tests.evaluation.teachers.comparing import NAMES, Asking, comparison, examples, run, teacher


def document(**changes: Any) -> dict[str, Any]:
    return measure(comparison(**changes))[0]


def by_place(best_first: bool) -> Run:
    """All questions in one order: that of the answers, or against it."""
    found: Run = {}
    for number, question in enumerate(examples()):
        row = {f"p{n}": float(n % 4 == number % 3) for n in range(7)}
        found[question] = row if best_first else {name: -value for name, value in row.items()}
    return found


def test_a_difference_is_marked_where_it_is_shown() -> None:
    worst, best = by_place(False), by_place(True)
    found = document(
        teachers=[teacher("retrieval", worst), teacher("best", best), teacher("same", worst)]
    )
    row = dict(zip(headings(found), cells(found, "best"), strict=True))
    assert row["nDCG@5"] == "100.0+"
    assert dict(zip(headings(found), cells(found, "same"), strict=True))["P@1"] == "0.0 "
    found = document(teachers=[teacher("retrieval", best), teacher("worst", worst)])
    assert dict(zip(headings(found), cells(found, "worst"), strict=True))["nDCG@5"].endswith("-")


def test_it_is_printed_with_all_that_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    teachers = [teacher(name, run(seed)) for seed, name in enumerate(NAMES)]
    some = {question: row for question, row in run(9).items() if question != "q1"}
    about = {
        **teachers[2].about,
        "class": "Asks",
        "needs": ["rationale"],
        "cached": 3,
        "seconds": 12.3,
        "costs": {"calls": 1200, "dollars": 0.5, "tokens": None},
    }
    teachers[2] = Compared("[other]", about, some, {"q1": "no rationale"})
    show_table(
        document(
            teachers=teachers,
            readers=[Asking(failing=["q2"]).reader()],
            curve=Curve("one", "two", run(1), run(0), 0.4),
            remarks=["judged by itself"],
        )
    )
    out = capsys.readouterr().out
    # what others named is no markup
    assert "[other]" in out
    assert "11 of 12 questions, 7 candidates each" in out
    assert "left out: 1 of 12 questions" in out
    assert "[other] 1 (no rationale)" in out
    assert "[other]: Asks, a test; needs rationale; 3 of 11 questions were in the cache" in out
    assert "; 1,200 calls, 0.5 dollars" in out
    assert "12.3" in out
    assert "cached" in out
    assert "curve from two" in out
    assert "the configuration has 0.4" in out
    assert "WARNING: Asking: 1 of 11 questions are left out" in out
    assert out.rstrip().endswith("judged by itself")


def test_nothing_is_said_of_what_is_not_there() -> None:
    said = "\n".join(remarks(document()))
    assert "left out" not in said
    assert "curve" not in said
    assert "WARNING" not in said


class Stubborn(Asking):
    def ask(self, prompts: list[Prompt]) -> list[Answer | Failure]:
        return [Answer("a lamp") for _ in prompts]


def test_a_generator_that_does_not_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constant, "ENOUGH", 10)
    said = list(remarks(document(readers=[Stubborn().reader()])))
    assert any("WARNING: Asking answers 'a lamp' to 12 of 12 questions" in line for line in said)
    assert not any("WARNING" in line for line in remarks(document(readers=[Asking().reader()])))
