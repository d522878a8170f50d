"""What is the same in several runs is one row; what another training changes is one of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from radio.comparing.grouping import grouped
from radio.comparing.matching import matched
from radio.comparing.reading import read_runs
from radio.comparing.rows import Row, meant, measures_of, partial, primary_of, rows_of
from tests.comparing.runs import questions, seeded, write_run


def rows(folders: list[Path], *, common: bool = False) -> dict[str, Row]:
    runs = read_runs(folders)
    return {row.name: row for row in rows_of(grouped(runs), matched(runs, common=common))}


def test_seeds_are_one_row_and_what_they_share_has_one(tmp_path: Path) -> None:
    found = rows(seeded(tmp_path))
    assert {name: row.seeds for name, row in found.items()} == {
        "retriever": 1,
        "base": 1,
        "tuned": 3,
    }
    assert [row.trained for row in found.values()] == [False, False, True]
    assert found["tuned"].columns["em@1"].shape == (3, 40)
    assert measures_of(list(found.values())) == ["em@1", "nDCG@5"]


def test_trainings_of_the_same_numbers_are_still_several(tmp_path: Path) -> None:
    numbers = {"base": {"em": [1, 0]}, "tuned": {"em": [1, 1]}}
    folders = [
        write_run(tmp_path / f"r-{seed}", numbers, config={"seed_everything": seed})
        for seed in (1, 2)
    ]
    found = rows(folders)
    assert (found["base"].seeds, found["tuned"].seeds) == (1, 2)


def test_what_one_of_the_seeds_lacks_is_left_out_and_named(tmp_path: Path) -> None:
    numbers = {"base": {"em": [1, 0]}, "tuned": {"em": [1, 1], "f1": [1, 1]}}
    more = {**numbers, "tuned": {"em": [1, 1]}, "teacher": {"em": [1, 1]}}
    folders = [
        write_run(tmp_path / f"r-{seed}", columns, config={"seed_everything": seed})
        for seed, columns in enumerate((numbers, more))
    ]
    found = rows(folders)
    assert list(found) == ["base", "tuned"]
    assert list(found["tuned"].columns) == ["em"]
    runs = read_runs(folders)
    (group,) = grouped(runs)
    assert partial(group, matched(runs)) == ["f1 of tuned", "teacher"]


def test_groups_share_the_rows_that_are_the_same_but_no_tuned_one(tmp_path: Path) -> None:
    folders = seeded(tmp_path) + seeded(tmp_path, name="theirs")
    found = rows(folders)
    assert list(found) == ["retriever", "base", "ours:tuned", "theirs:tuned"]
    assert [group.name for group in found["base"].groups] == ["ours", "theirs"]
    # the same numbers by the same seeds: still two trainings
    np.testing.assert_array_equal(
        found["ours:tuned"].columns["em@1"], found["theirs:tuned"].columns["em@1"]
    )


def test_systems_of_one_name_that_differ_are_told_apart_by_their_groups(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", {"base": {"em": [1, 0]}, "tuned": {"em": [1, 1]}})
    two = write_run(
        tmp_path / "two", {"base": {"em": [0, 0]}, "tuned": {"em": [1, 1]}}, config={"model": "b"}
    )
    assert list(rows([one, two])) == ["one:base", "two:base", "one:tuned", "two:tuned"]


def test_questions_stand_in_one_order(tmp_path: Path) -> None:
    asked = questions(3)
    one = write_run(tmp_path / "one", {"base": {"em": [1, 0, 0]}}, asked=asked)
    two = write_run(
        tmp_path / "two", {"base": {"em": [0, 0, 1]}}, asked=asked[::-1], config={"model": "b"}
    )
    # the same numbers for the same questions
    assert list(rows([one, two])) == ["base"]


def test_the_closed_book_is_set_against_each_depth(tmp_path: Path) -> None:
    numbers = {
        "closed_book": {"em": [1, 0], "f1": [1, 0]},
        "tuned": {"em@1": [1, 1], "em@3": [0, 1], "nDCG@5": [1, 1]},
    }
    found = rows([write_run(tmp_path / "one", numbers)])
    assert list(found["closed_book"].columns) == ["f1", "em@1", "em@3"]
    np.testing.assert_array_equal(found["closed_book"].columns["em@3"], [[1, 0]])
    assert measures_of(list(found.values())) == ["em@1", "em@3"]
    order = ["em@1", "em@3", "nDCG@5"]
    assert measures_of([*found.values(), found["tuned"]]) == order
    # where all read to one depth the names are the same
    numbers = {"closed_book": {"em": [1, 0]}, "tuned": {"em": [1, 1]}}
    found = rows([write_run(tmp_path / "two", numbers)])
    assert measures_of(list(found.values())) == ["em"]


def test_answers_head_a_comparison_else_the_order_of_passages() -> None:
    assert primary_of(["nDCG@5", "f1@1", "em@1", "em@3"]) == "em@1"
    assert primary_of(["nDCG@5", "large_accuracy@3"]) == "large_accuracy@3"
    assert primary_of(["RR@10", "gold_nDCG@5"]) == "gold_nDCG@5"
    assert primary_of(["P@1", "R@5"]) == "P@1"


def test_a_measure_is_meant_by_its_own_name_first() -> None:
    measures = ["large_em@1", "em@1", "em"]
    assert meant("em", measures) == "em"
    assert meant("em", measures[:2]) == "large_em@1"
    assert meant("em@1", measures) == "em@1"
    assert meant("e", measures) is None
