"""What a run takes as it grows: the parts are measured, and the figures follow from them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import scaling


def row(passages: int, questions: int, seconds: float, memory: float) -> dict[str, Any]:
    part = {"seconds": seconds, "own MiB": memory, "with maps MiB": 2 * memory}
    return {"passages": passages, "questions": questions, "disk MB": 5, "parts": {"index": part}}


@pytest.mark.parametrize(
    ("rows", "powers"),
    [
        ([row(100, 9, 2.0, 500), row(10_000, 9, 200.0, 500)], {"seconds": 1, "own MiB": 0}),
        ([row(100, 9, 2.0, 500), row(100, 900, 20.0, 5000)], {"seconds": 0.5, "own MiB": 0.5}),
        # too short for the clock
        ([row(100, 9, 0.001, 500), row(10_000, 9, 0.1, 500)], {"seconds": 0, "own MiB": 0}),
    ],
)
def test_growth_is_the_power_of_what_grows(
    rows: list[dict[str, Any]], powers: dict[str, float]
) -> None:
    assert scaling.growth(rows) == {"index": powers}


def test_one_row_does_not_grow() -> None:
    assert scaling.growth([row(100, 9, 2.0, 500)]) == {}


def test_the_table_has_a_column_for_each_part() -> None:
    lines = scaling.table([row(100, 9, 2.0, 500), row(10_000, 9, 200.0, 501)]).splitlines()
    assert lines[0] == "| passages | questions | disk, MB | index |"
    assert lines[3] == "| 10,000 | 9 | 5 | 200 s, 501 MiB |"


def test_hours_and_money_follow_from_the_rate() -> None:
    lines = scaling.projection(rate=1000.0, price=2.0).splitlines()
    # 21,015,324 passages, a thousand a second
    assert lines[2] == "| wiki-18 | 21,015,324 | 1 | 5.84 | 11.68 | 32.3 |"
    # eight take an eighth of the time, for the same money
    assert lines[3] == "| wiki-18 | 21,015,324 | 8 | 0.73 | 11.68 | 32.3 |"
    assert len(lines) == 2 + 2 * len(scaling.CORPORA)


@pytest.mark.slow
def test_a_row_is_measured_in_processes_of_its_own() -> None:
    found = scaling.measured(
        200, 20, scaling.Sizes(dimensions=8, steps=2, candidates=10), folder=None
    )
    assert (found["passages"], found["questions"]) == (200, 20)
    assert list(found["parts"]) == [
        *("corpus", "index", "candidates", "teacher"),
        *("open", "look up", "setup", "first step", "a step"),
    ]
    for part in found["parts"].values():
        assert part["seconds"] >= 0
        assert 50 < part["own MiB"] <= part["with maps MiB"]
