"""Plots of the page about teachers."""

from __future__ import annotations

import base64
from typing import Any

from radio.evaluation.teachers.measure import Curve, measure
from radio.evaluation.teachers.plots import plots
from radio.rationales.plots import Plot
from tests.evaluation.teachers.comparing import Asking, comparison, run, teacher


def made(**changes: Any) -> list[Plot]:
    return plots(*measure(comparison(**changes)))


def test_each_plot_says_in_words_what_it_shows() -> None:
    found = made(
        readers=[Asking().reader()], curve=Curve("configured", "retrieval", run(1), run(0), 0.5)
    )
    assert [plot.message.partition(":")[0] for plot in found] == [
        "nDCG@5 against answers of each teacher in %, with 95 % intervals",
        "nDCG@5 against annotated passages of each teacher in %, with 95 % intervals",
        "em with the top 3, generator of each teacher in %, with 95 % intervals",
        "Order of a blend",
        "Generator on the top of a blend",
        "Kendall's tau-b, mean over the questions",
        "Entropy of softmax(scores / 0.1) as a share of the largest, with 5, 25, 75 and 95 % "
        "quantiles; medians",
    ]
    assert all(b"<svg" in base64.b64decode(plot.svg) for plot in found)
    assert "configured and retrieval " in found[5].message


def test_what_is_not_there_is_not_drawn() -> None:
    assert len(made()) == 4


def test_a_curve_without_questions_is_not_drawn() -> None:
    assert len(made(curve=Curve("one", "two", {}, {}))) == 4


def test_what_is_not_defined_is_drawn_as_nothing() -> None:
    flat = {question: dict.fromkeys(row, 0.5) for question, row in run(0).items()}
    found = made(teachers=[teacher("retrieval", run(0)), teacher("flat", flat)])
    assert "flat and retrieval - of 0." in found[2].message


def test_the_same_numbers_give_the_same_plots() -> None:
    assert made() == made()
