"""Runs are compared on the same questions, answers and readers, or refused with what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radio.comparing.matching import is_of_order, matched
from radio.comparing.reading import read_runs
from radio.schema import InputError, Question
from tests.comparing.runs import as_version_0, questions, reader, write_run


def numbers(count: int, *measures: str) -> dict[str, dict[str, list[float]]]:
    names = measures or ("em",)
    return {system: {name: [1.0] * count for name in names} for system in ("base", "tuned")}


def two(folder: Path, first: Sequence[Question], second: Sequence[Question]) -> list[Path]:
    return [
        write_run(folder / name, numbers(len(asked)), asked=asked)
        for name, asked in (("one", first), ("two", second))
    ]


def test_runs_of_the_same_questions_match_in_any_order(tmp_path: Path) -> None:
    asked = questions(4)
    found = matched(read_runs(two(tmp_path, asked, asked[::-1])))
    assert found.split == "test"
    assert list(found.questions) == ["q0", "q1", "q2", "q3"]
    assert not found.left_out
    assert not found.unknown


def test_other_questions_are_refused_or_left_out_when_asked(tmp_path: Path) -> None:
    runs = read_runs(two(tmp_path, questions(5), questions(4, first=2)))
    with pytest.raises(
        InputError,
        match=r"one lacks 1 of 6; two lacks 2 of 6; --common compares the 3 that are the same",
    ):
        matched(runs)
    found = matched(runs, common=True)
    assert list(found.questions) == ["q2", "q3", "q4"]
    assert found.left_out == {"not in every run": 3}


@pytest.mark.parametrize(
    ("change", "fact", "shown"),
    [
        (
            {"golden_answers": ("someone",)},
            "golden_answers",
            r"one: \['keeper 1'\]; two: .'someone",
        ),
        ({"question": "Who put it out?"}, "question", "two: Who put it out?"),
        ({"choices": ("a", "b")}, "choices", r"one: \[\]; two: \['a', 'b'\]"),
        ({"metadata": {"gold_ids": ["p"]}}, "gold_ids", r"one: \{\}; two: \{'p': 1.0\}"),
    ],
)
def test_the_same_id_with_other_facts_is_another_question(
    change: dict[str, object], fact: str, shown: str, tmp_path: Path
) -> None:
    asked = questions(3)
    other = [asked[0], replace(asked[1], **change), asked[2]]  # type: ignore[arg-type]
    runs = read_runs(two(tmp_path, asked, other))
    with pytest.raises(InputError, match=rf"1 have another {fact} \(as q1: .*{shown}"):
        matched(runs)
    found = matched(runs, common=True)
    assert list(found.questions) == ["q0", "q2"]
    assert found.left_out == {f"another {fact}": 1}


def test_runs_without_any_question_in_common_are_refused_whatever_is_asked(tmp_path: Path) -> None:
    runs = read_runs(two(tmp_path, questions(2), questions(2, first=2)))
    with pytest.raises(InputError, match="none is the same"):
        matched(runs, common=True)


def test_the_split_is_one_that_all_have(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, numbers(3)) for name in ("one", "two", "three")]
    for folder in folders[:2]:
        write_run(folder, numbers(2), split="validation")
    both = read_runs(folders[:2])
    assert matched(both).split == "test"
    assert len(matched(both, "validation").questions) == 2
    only = write_run(tmp_path / "four", numbers(2), split="validation")
    assert matched(read_runs([folders[0], only])).split == "validation"
    with pytest.raises(
        InputError, match=r"no split in common: three has test; four has validation"
    ):
        matched(read_runs([folders[2], only]))
    with pytest.raises(InputError, match=r"three: found no results of validation"):
        matched(read_runs(folders), "validation")


def test_what_an_old_run_does_not_say_is_not_held_against_it(tmp_path: Path) -> None:
    folders = two(tmp_path, questions(3), questions(3))
    as_version_0(folders[1], with_generator=False)
    found = matched(read_runs(folders))
    assert len(found.questions) == 3
    assert found.unknown == ["two"]


def test_measures_of_other_generators_are_told(tmp_path: Path) -> None:
    measures = ("em@1", "nDCG@5", "gold_RR", "large_em@1", "large_two_em")
    folders = []
    for name, readers in {
        "one": [reader("a"), reader("b", "large"), reader("c", "large_two")],
        "two": [reader("a"), reader("x", "large"), reader("c", "large_two")],
        "three": [reader("z"), reader("b", "large"), reader("c", "large_two")],
        "unsaid": [],
    }.items():
        folder = tmp_path / name
        folders.append(write_run(folder, numbers(2, *measures), generators=readers))
    found = matched(read_runs(folders))
    assert dict(found.readers) == {
        "em@1": "SpanReader a in one, two; SpanReader z in three; none that is named in unsaid",
        "large_em@1": "SpanReader b in one, three; SpanReader x in two; none that is named in "
        "unsaid",
        "large_two_em": "SpanReader c in one, two, three; none that is named in unsaid",
    }
    # all from before generators were noted, or of a callback of the user's own
    assert matched(read_runs(folders[3:])).readers == {}


def test_any_generator_without_a_name_may_have_made_what_has_none(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / name, numbers(2, "em"), generators=[reader("a"), reader(other)])
        for name, other in (("one", "b"), ("two", "c"))
    ]
    assert matched(read_runs(folders)).readers == {
        "em": "SpanReader a or SpanReader b in one; SpanReader a or SpanReader c in two"
    }


def test_measures_of_an_order_are_told_from_those_of_answers() -> None:
    of_order = ["RR", "RR@10", "nDCG@5", "gold_R@20", "teacher_P@1"]
    of_answers = ["em", "f1@3", "answer_in_context@1", "large_em", "RR@", "gold_em"]
    assert [is_of_order(name) for name in of_order] == [True] * len(of_order)
    assert [is_of_order(name) for name in of_answers] == [False] * len(of_answers)
