"""Plots of the page about rationales."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from radio.rationales.plots import plots


def count(number: int, total: int = 4) -> dict[str, Any]:
    return {"count": number, "share": number / total}


def numbers(**changes: Any) -> dict[str, Any]:
    return {
        "words": {"median": 11.0, "p95": 20.0},
        "limits": {"max_words": 200, "min_similarity": 0.3},
        "checks": {"empty": count(0), "repeats": count(1)},
        "filters": ["empty"],
        "similarity": None,
        "support": {"answer": count(3)},
        **changes,
    }


ROWS: list[dict[str, Any]] = [
    {"words": 10, "best_similarity": 0.2},
    {"words": 12, "best_similarity": 0.8},
    {"words": None, "best_similarity": None},
]


def test_each_plot_says_in_words_what_it_shows() -> None:
    made = plots(numbers(), ROWS)
    assert [plot.message for plot in made] == [
        "Histogram of the length in words: median 11, 95 % quantile 20.",
        "Bars of the rationales that fail each check: empty 0 (0.0 %), repeats 1 (25.0 %).",
        "Bars of the questions with a candidate that supports the rationale: answer 3 (75.0 %).",
    ]
    assert all(b"<svg" in base64.b64decode(plot.svg) for plot in made)


@pytest.mark.parametrize("measured", [True, False])
def test_similarities_are_drawn_where_some_were_measured(measured: bool) -> None:
    spread = {"mean": 0.5, "median": 0.5, "p05": 0.2} if measured else {}
    made = plots(numbers(similarity={"encoder": "e", "encoder_of": "teacher", **spread}), ROWS)
    assert any("cosine" in plot.message for plot in made) is measured


def test_the_same_numbers_give_the_same_plots() -> None:
    assert plots(numbers(), ROWS) == plots(numbers(), ROWS)
