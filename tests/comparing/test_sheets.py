"""The tables say each number as it is, and under them what is not covered."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.comparing.choosing import compare_runs
from radio.comparing.sheets import interval, remarks, sheets
from tests.comparing.runs import as_version_0, questions, reader, seeded, write_run

DATA = {"data": {"class_path": "data_modules.NaturalQuestionsDataModule"}}


def test_the_primary_measure_has_all_columns_and_the_others_a_row_each(tmp_path: Path) -> None:
    comparison = compare_runs(seeded(tmp_path), draws=500)
    primary, others = sheets(comparison)
    assert primary.title == "em@1, in % [95 % interval], of a dataset, test: 40 questions"
    assert list(primary.columns) == [
        "system",
        "em@1",
        "minus base",
        "p (Holm)",
        "d_z",
        "won/tied/lost",
        "could show",
        "seeds",
    ]
    by_name = {row[0]: row[1:] for row in primary.rows}
    assert list(by_name) == ["retriever", "base", "tuned"]
    assert by_name["base"][1:] == ["-"] * 6
    mean = comparison.figures.means["em@1"]["tuned"]
    found = comparison.figures.differences["em@1"]["tuned"]
    assert by_name["tuned"] == [
        interval(mean.mean, mean.low, mean.high),
        interval(found.difference, found.low, found.high, "+"),
        f"{found.p_holm:.4f}",
        f"{found.effect:+.2f}",
        f"{found.won}/{found.tied}/{found.lost}",
        f"{100 * found.detectable:.1f}",
        f"3: {100 * min(mean.by_seed):.1f} to {100 * max(mean.by_seed):.1f}",
    ]
    assert list(others.columns) == ["measure", "retriever", "base", "tuned"]
    (row,) = others.rows
    assert row[0] == "nDCG@5"
    assert row[1].endswith("*")


@pytest.mark.parametrize(
    ("numbers", "sign", "text"),
    [
        ((0.256, 0.2, 0.3), "", "25.6 [20.0, 30.0]"),
        ((0.01, -0.02, 0.04), "+", "+1.0 [-2.0, +4.0]"),
        ((-0.0001, -0.0004, 0.0), "+", "+0.0 [+0.0, +0.0]"),
    ],
)
def test_numbers_are_in_percent(numbers: tuple[float, float, float], sign: str, text: str) -> None:
    assert interval(*numbers, sign) == text


def test_the_family_is_named_and_counted(tmp_path: Path) -> None:
    said = "\n".join(remarks(compare_runs(seeded(tmp_path), draws=500)))
    assert said.startswith("ours: ours-1 (seed 1), ours-2 (seed 2), ours-3 (seed 3)\n")
    assert "500 draws, corrected (Holm) in families of one dataset, split and measure" in said
    assert "2 comparisons with base by em@1" in said
    assert "intervals are over seeds and questions" in said
    assert "one seed" not in said


def test_one_training_says_what_its_interval_lacks(tmp_path: Path) -> None:
    folders = seeded(tmp_path)[:1]
    said = "\n".join(remarks(compare_runs(folders, draws=500)))
    assert "one seed of tuned: what another training would have given is in none" in said
    assert "intervals are over seeds and questions" not in said


def test_what_is_left_out_or_not_known_is_said(tmp_path: Path) -> None:
    one, two = (
        write_run(
            tmp_path / name,
            {
                "base": {"em": [1, 0, 1], "gold_P@1": [1, None, 0], "nDCG@5": [1, 1, 1]},
                "tuned": {"em": [1, 1, 1], "gold_P@1": [1, None, 0], "nDCG@5": [1, 1, 1]},
                "annotated": {"gold_P@1": [1, None, 1], "nDCG@5": [1, None, 1]},
            },
            asked=questions(3, first=number),
            config={"model": name, **DATA},
            generators=[reader(name)],
        )
        for number, name in enumerate(("one", "two"))
    )
    as_version_0(two)
    (two / ".radio").write_text('{"command": "fit"}')
    comparison = compare_runs([one, two], common=True, draws=200)
    said = list(remarks(comparison))
    assert said[:3] == [
        "compared on the 2 questions that all runs have in common; left out: 2 not in every run",
        "left out, since their generators differ: em",
        "WARNING: two: its training has not ended; these are earlier figures",
    ]
    assert any("one:annotated has numbers of 1 questions at least" in line for line in said)
    assert "of NaturalQuestions, test: 2 questions" in sheets(comparison)[0].title
    as_version_0(one, with_generator=False)
    said = list(remarks(compare_runs([one], draws=200)))
    assert said[0].startswith("one: from before run folders said what was asked")
    assert "2 of 3 questions have gold_P@1" in said


def test_a_row_of_fewer_questions_says_how_many(tmp_path: Path) -> None:
    numbers = {"base": {"em": [1, 0, 1]}, "annotated": {"em": [1, None, 1]}}
    primary = sheets(compare_runs([write_run(tmp_path / "one", numbers)], draws=200))[0]
    assert [row[0] for row in primary.rows] == ["base", "annotated (2 questions)"]


def test_a_copy_of_a_run_is_named_as_one(tmp_path: Path) -> None:
    (first, *_), (again, *_) = seeded(tmp_path / "a"), seeded(tmp_path / "b")
    said = list(remarks(compare_runs([first, again], draws=200)))
    assert said[0] == "b/ours-1: config and seed of a/ours-1, and so no further seed of it"
