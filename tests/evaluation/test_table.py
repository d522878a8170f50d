"""The table: every system, what is tied or left out, and what is said of a run without a gain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.evaluation.results import Results, gain_over_base
from radio.evaluation.table import no_better, show_table
from tests.evaluation.test_results import gains, results


def test_the_table_shows_every_system_and_the_difference_uncut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results().write(tmp_path)
    show_table(json.loads((tmp_path / "metrics.json").read_text()), "test")
    out = capsys.readouterr().out
    assert "20 questions" in out
    row = next(line for line in out.splitlines() if "em" in line.split())
    assert "0.0 [0.0, 0.0]" in row
    assert "50.0 [" in row
    assert "+25.0 [" in row
    assert "…" not in out


def test_the_table_says_what_is_not_in_fp32_and_of_how_many_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results()
    found.note("test", precision="bf16-true", of_questions=24, tied_tops={"base": 0, "tuned": 3})
    found.write(tmp_path)
    show_table(json.loads((tmp_path / "metrics.json").read_text()), "test")
    out = capsys.readouterr().out
    assert (
        "test: 20 of 24 questions, in % [95 % bootstrap interval], computed in bf16-true"
        in " ".join(out.split())
    )
    assert "ordered by passage id there: tuned 3 of 20 questions" in out
    assert "WARNING" not in out


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.2], None),
        (
            [0.0] * 4,
            "is no better than the base (nDCG@5 +0.0 [+0.0, +0.0] points, tuned - base, on 4 "
            "validation",
        ),
        ([-0.1, 0.05] * 5, "is no better than the base (nDCG@5 -2.5 ["),
        ([0.1, -0.05] * 5, "is not shown to be better than the base (nDCG@5 +2.5 ["),
    ],
)
def test_what_validation_does_not_show_to_be_better_is_said(
    values: list[float], expected: str | None
) -> None:
    found = no_better(gain_over_base(gains(values), "validation", "validation/nDCG@5"))
    assert found is None if expected is None else expected in str(found)
    if expected and "not shown" in expected:
        assert "the interval includes 0" in str(found)


def shown(found: Results, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    found.write(folder)
    show_table(json.loads((folder / "metrics.json").read_text()), "test")
    return capsys.readouterr().out.splitlines()


def test_all_systems_are_shown_with_what_each_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Results()
    for system in ("retriever", "base", "tuned", "random", "teacher", "annotated"):
        for number in range(3):
            found.add("test", system, f"q{number}", {"em@1": 1.0, "em@3": 0.5})
    for number in range(3):
        found.add("test", "closed_book", f"q{number}", {"em": 0.25})
    found.note_of_system("test", "overall", "tuned", {"macro_f1": 0.625})
    few = {"STEM": {"mean": 0.5, "questions": 2}, "Other": {"mean": 0.0, "questions": 1}}
    many = {f"subject {n}": {"mean": 0.5, "questions": 1} for n in range(57)}
    found.note_of_system("test", "breakdown", "tuned", {"accuracy": few, "of subjects": many})
    found.note("test", unranked={"annotated": 2})
    lines = shown(found, tmp_path, capsys)
    (head,) = [line for line in lines if "metric" in line]
    systems = "closed_book random retriever base tuned teacher annotated".split()
    # and "tuned - base" at the end
    assert [word for word in head.split() if word in systems][:7] == systems
    rows = {line.split()[1]: line for line in lines if len(line.split()) > 2}
    assert rows["em@1"].count("100.0 [100.0, 100.0]") == 6
    assert rows["em"].count("25.0 [25.0, 25.0]") == 1
    assert "62.5" in rows["macro_f1"]
    text = " ".join(" ".join(lines).split())
    assert "accuracy: STEM (2 questions)" in text
    assert "subject 1" not in text
    assert "questions without such a ranking: annotated 2 of 3, left out of it alone" in text
    assert "…" not in text


def test_what_failed_was_cut_or_could_not_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = results()
    well = {"answers": 40, "unparsed": 0, "passages": 120, "passages_cut": 0}
    well["answers_with_tokens_cut"] = 0
    ill = {**well, "unparsed": 3, "passages_cut": 9, "answers_with_tokens_cut": 2}
    small = {"name": None, "class": "OpenAIGenerator", "questions": 20, "failed_questions": 0}
    large = {**small, "name": "large", "failed_questions": 4}
    found.note(
        "test",
        generators=[
            {**small, "systems": {"tuned": well, "base": well}},
            {**large, "systems": {"tuned": ill, "base": well, "retriever": ill}},
        ],
    )
    text = "\n".join(shown(found, tmp_path, capsys))
    assert "OpenAIGenerator" not in text
    assert "WARNING: large: 4 of 20 questions are left out of all its figures" in text
    unread = "replies that could not be read, and count as wrong: retriever 3 of 40, tuned 3 of 40"
    assert f"large: {unread}" in text
    assert "model's window: retriever 9 of 120, tuned 9 of 120" in text
    assert "cut short to fit: retriever 2 of 40, tuned 2 of 40" in text
