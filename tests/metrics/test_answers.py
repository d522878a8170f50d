"""Answer metrics: known cases by hand."""

from __future__ import annotations

import pytest

from radio.metrics.answers import exact_match, f1


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Paris", ["Paris"], 1),
        ("the  PARIS.", ["Paris"], 1),
        ("An apple a day", ["apple day"], 1),
        ("theatre", ["atre"], 0),
        ("U.S.", ["us"], 1),
        ("Paris", ["Rome", "Paris"], 1),
        ("Paris, France", ["Paris"], 0),
        ("", ["Paris"], 0),
        ("", [""], 0),
        ("the", ["a"], 0),
        ("Paris", [], 0),
    ],
)
def test_exact_match(prediction: str, answers: list[str], expected: float) -> None:
    assert exact_match(prediction, answers) == expected


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("Paris", ["paris"], 1),
        ("the capital Paris", ["Paris"], 2 / 3),
        ("red red blue", ["red blue blue"], 2 / 3),
        ("Lyon", ["Paris"], 0),
        ("big Paris", ["Rome", "Paris", "big city of Paris"], 2 / 3),
        ("yes", ["Yes."], 1),
        ("yes", ["no"], 0),
        ("yes it is", ["yes"], 0),
        ("yes", ["yes it is"], 0),
        ("noanswer", ["noanswer to that"], 0),
        ("", ["Paris"], 0),
        ("", [""], 0),
        ("Paris", [], 0),
    ],
)
def test_f1(prediction: str, answers: list[str], expected: float) -> None:
    assert f1(prediction, answers) == pytest.approx(expected)
