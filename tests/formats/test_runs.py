"""Rankings as TREC has them, and what is wrong with a line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.formats import (
    read_candidates,
    read_run,
    write_run,
)
from radio.schema import Run, ranked
from tests.formats.readers import Reader, message


@pytest.mark.parametrize("reader", [read_run, read_candidates])
@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "q1 p1 1 2.0 tag",
            ["found 5 columns", "expected 6: question_id Q0 passage_id rank score tag"],
        ),
        ("q1 Q0 p2 2 1.0 my tag", ["found 7 columns", "expected 6"]),
        ("q1 Q0 p2 2 best tag", ["column 5", "found 'best'", "expected a finite score"]),
        ("q1 Q0 p2 2 nan tag", ["column 5", "found 'nan'", "expected a finite score"]),
        ("q1 Q0 p2 2 -inf tag", ["column 5", "found '-inf'", "expected a finite score"]),
        ("q1 Q0 p1 2 1.0 tag", ["'p1'", "twice"]),
    ],
)
def test_a_wrong_line_of_a_trec_run_is_named(
    reader: Reader, line: str, parts: list[str], file: Callable[..., Path]
) -> None:
    path = file("q1 Q0 p1 1 2.0 tag", "", line, name="run.trec")
    found = message(reader, path)
    assert found.startswith(f"{path}:3: ")
    for part in parts:
        assert part in found


def test_gzip_and_plain_runs_read_the_same(file: Callable[..., Path], tmp_path: Path) -> None:
    plain = file("q1 Q0 p1 1 2.5 tag", "q1 Q0 p2 2 -1e-3 tag", name="run.trec")
    (tmp_path / "run.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_run(tmp_path / "run.gz") == read_run(plain) == {"q1": {"p1": 2.5, "p2": -0.001}}


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run: Run = {
        "q2": {"tied-z": 0.1, "tied-a": 0.1, "best": 1 / 3, "last": -1e-300},
        "q1": {"p": 1e20},
    }
    path = tmp_path / "deep" / "folder" / "run.trec"
    write_run(path, run, "tag")
    assert read_run(path) == run
    assert list(read_run(path)) == ["q2", "q1"]
    assert [line.split() for line in path.read_text().splitlines()][:4] == [
        ["q2", "Q0", "best", "1", repr(1 / 3), "tag"],
        ["q2", "Q0", "tied-a", "2", "0.1", "tag"],
        ["q2", "Q0", "tied-z", "3", "0.1", "tag"],
        ["q2", "Q0", "last", "4", "-1e-300", "tag"],
    ]
    assert read_candidates(path)[0]["q2"] == ranked(run["q2"])
