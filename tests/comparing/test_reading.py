"""Run folders are read as they were written, those of older versions too; others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from radio.comparing.reading import read_runs, read_values
from radio.schema import InputError, Question
from tests.comparing.runs import as_version_0, reader, write_run

NUMBERS = {"base": {"em": [0, 1, 0], "gold_P@1": [1, None, 0]}, "tuned": {"em": [1, 1, None]}}


def test_the_numbers_of_a_run_are_those_that_were_written(tmp_path: Path) -> None:
    asked = [
        Question("a", "Who?", ("Ada", "A. L."), metadata={"gold_ids": {"p1": 2}}),
        Question("b", "Which?", ("B",), choices=("A", "B")),
        Question("c", "What?"),
    ]
    folder = write_run(tmp_path / "one", NUMBERS, asked=asked, generators=[reader()])
    (run,) = read_runs([folder])
    assert (run.name, run.version, run.splits, run.seed) == ("one", 1, ["test"], 0)
    assert run.generators("test") == [reader()]
    assert run.generators("validation") == []
    assert not run.unfinished
    found = read_values(run, "test")
    assert list(found.asked) == ["a", "b", "c"]
    assert found.asked["a"] == {
        "question": "Who?",
        "golden_answers": ["Ada", "A. L."],
        "choices": [],
        "gold_ids": {"p1": 2},
    }
    assert found.asked["b"]["choices"] == ["A", "B"]
    np.testing.assert_array_equal(found.numbers["base"]["em"], [0, 1, 0])
    np.testing.assert_array_equal(found.numbers["base"]["gold_P@1"], [1, np.nan, 0])
    np.testing.assert_array_equal(found.numbers["tuned"]["em"], [1, 1, np.nan])
    assert list(found.numbers["tuned"]) == ["em"]


@pytest.mark.parametrize("with_generator", [True, False])
def test_a_run_from_before_versions_is_read(with_generator: bool, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "old", NUMBERS)
    as_version_0(folder, with_generator=with_generator)
    (run,) = read_runs([folder])
    found = read_values(run, "test")
    assert run.version == 0
    np.testing.assert_array_equal(found.numbers["tuned"]["em"], [1, 1, np.nan])
    known = {"question": "Who lit lamp 0?", "golden_answers": ["keeper 0"]}
    assert found.asked["q0"] == (known if with_generator else {})


def test_a_run_of_a_later_version_is_refused_by_its_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "new", NUMBERS)
    document = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**document, "version": 2}))
    with pytest.raises(InputError, match=r"new/metrics.json: found results of version 2, expected"):
        read_runs([folder])


def test_runs_have_the_names_that_tell_them_apart(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, NUMBERS) for name in ("a/x", "b/x", "b/y")]
    assert [run.name for run in read_runs(folders)] == ["a/x", "b/x", "b/y"]
    assert [run.name for run in read_runs(folders[1:])] == ["x", "y"]
    # the same folder twice is one run
    again = tmp_path / "a/../b/y"
    assert [run.name for run in read_runs([folders[2], again])] == ["y"]


def test_a_training_that_has_not_ended_is_known(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "one", NUMBERS)
    (folder / ".radio").write_text('{"command": "fit"}')
    assert read_runs([folder])[0].unfinished
    (folder / ".radio").unlink()
    assert not read_runs([folder])[0].unfinished


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "metrics.json").unlink(), "holds no results"),
        (lambda folder: (folder / "metrics.json").write_text("{}"), "holds no results"),
        (lambda folder: (folder / "predictions.jsonl").unlink(), "predictions.jsonl is missing"),
        (lambda folder: (folder / "config.yaml").write_text("a: ["), "config.yaml: cannot be read"),
    ],
)
def test_what_is_no_evaluated_run_is_refused(damage, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    damage(write_run(tmp_path / "one", NUMBERS))
    with pytest.raises(InputError, match=message):
        read_runs([tmp_path / "one"])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder .*expected a run folder"):
        read_runs([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no row of test"),
        ('{"split": "test", "base": {"em": 1}}\n', "KeyError: 'question_id'"),
        ('{"split": "test", "question_id": "q", "base": {"em": "x"}}\n', "ValueError"),
        ('{"split": "test", "question_id": "q"}\n' * 2, "2 rows of test, but of 1 questions"),
    ],
)
def test_rows_that_radio_did_not_write_are_refused(text: str, message: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "one", NUMBERS)
    (folder / "predictions.jsonl").write_text(text)
    (run,) = read_runs([folder])
    with pytest.raises(InputError, match=message):
        read_values(run, "test")


def test_a_split_that_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    (run,) = read_runs([write_run(tmp_path / "one", NUMBERS)])
    with pytest.raises(InputError, match=r"no results of validation, expected .*: test"):
        read_values(run, "validation")
