"""The tables of a diagnosis: each number is where its column says."""

from __future__ import annotations

from typing import Any

import pytest

from radio.reporting.diagnosis_tables import (
    Part,
    categories,
    memory,
    near,
    overlap,
    subsets,
    variants,
)
from tests.reporting.test_diagnosis import ORDER, RESULTS, document, note, numbers, variant


def cells(part: Part, row: int) -> dict[str, str]:
    return dict(zip(part.columns, part.rows[row].cells, strict=True))


def size(**counts: int) -> dict[str, Any]:
    found = {"questions": 40, "some": 3, "flagged": 2, "short": 5, "short_flagged": 1}
    return {**found, **counts, "shares": [], "mean_share": 0.1}


def test_overlaps() -> None:
    sizes = {"8": size(), "13": size(flagged=0, short=9)}
    found = {"rules": {"8": 0.7, "13": 0.0}, "sources": {"training": {"texts": 99, "sizes": sizes}}}
    part = overlap(document(overlap=found))
    assert part is not None
    assert cells(part, 0) == {
        "in": "training questions, 8 tokens",
        "texts": "99",
        "questions": "40",
        "some runs": "3",
        "suspicious": "2",
        "share": "5.0 %",
        "short": "5",
        "short found": "1",
    }
    assert [row.mark for row in part.rows] == ["worse", ""]
    # what is drawn begins at 0
    place = part.rows[0].place
    assert place is not None
    assert place[0] == part.picture.zero < place[1] == place[2]
    assert "of 8 tokens 70 % of the runs, of 13 tokens one run" in part.notes[0]
    assert "5 than 8, 9 than 13" in part.notes[1]
    assert overlap(document()) is None


def test_near_duplicates() -> None:
    def told(*counts: int) -> dict[str, Any]:
        quantiles = dict.fromkeys(("0.05", "0.25", "0.5", "0.75", "0.95", "1"), 0.61)
        return {"quantiles": quantiles, "bins": [0.5, 0.55, 0.6, 0.65], "counts": list(counts)}

    found = {
        "encoder": "E",
        "threshold": 0.9,
        "questions": 8,
        "training": 99,
        "flagged": 1,
        "nearest": told(1, 3, 4),
        "reference": {"flagged": 0, "nearest": told(8, 0, 0)},
    }
    part = near(document(near=found))
    assert part is not None
    assert cells(part, 0)["suspicious"] == "1"
    assert cells(part, 0)["median"] == "0.61"
    assert [row.cells[0] for row in part.rows] == [
        "nearest training question",
        "nearest other question",
    ]
    (chart,) = part.charts
    assert chart.limit is not None
    assert chart.limit.label == "threshold 0.9"
    # three bars, and an empty one at either end
    assert [len(line.points) for line in chart.lines] == [5, 5]
    assert near(document()) is None


def test_answers_without_passages() -> None:
    told = {"generator": None, "model": "M", "from": "results", "metric": "em", "questions": 8}
    told |= {"right": 2, "mean": 0.25, "low": 0.0, "high": 0.5}
    part = memory(document(closed_book=[told, {**told, "generator": "b", "from": "asked"}]))
    assert part is not None
    assert [row.cells for row in part.rows] == [
        ["M", "em", "8", "2", "25.0 [0.0, 50.0]", "the results"],
        ["b", "em", "8", "2", "25.0 [0.0, 50.0]", "asked now"],
    ]
    assert memory(document()) is None


def test_subsets_and_categories() -> None:
    part = subsets(document(results=RESULTS))
    assert part is not None
    assert cells(part, 1) == {
        "questions": "without suspicious ones",
        "n": "7",
        "base": "50.0 [40.0, 60.0]",
        "tuned": "70.0 [40.0, 60.0]",
        "tuned - base": "+20.0 [+10.0, +30.0]",
        "p (Holm)": "0.020",
        "won/lost": "3/1",
    }
    assert [row.mark for row in part.rows] == ["better", "better"]
    assert categories(document(results=RESULTS)) is None
    row = {"category": "STEM", "name": "all questions", "questions": 3}
    row["measures"] = {"em": {**numbers(0.5, -0.3), "gain": None}}
    part = categories(document(results={**RESULTS, "categories": [row]}))
    assert part is not None
    assert part.rows[0].cells[0] == "STEM, all questions"
    assert part.rows[0].cells[-3:] == ["-", "-", "-"]
    assert part.rows[0].place is None


def test_variants_have_a_table_for_each_generator() -> None:
    second = note(variant("best first", -0.3), generator="large")
    first, other = variants(document(order=[ORDER, second]), "order", "Order", "order")
    assert (first.title, other.title) == ("Order: em, read by Reader", "Order: em, read by large")
    assert cells(first, 1)["change of the gain"] == "\u221235.0 [\u221245.0, \u221225.0]"
    assert cells(first, 0)["change of the gain"] == "-"
    assert [row.mark for row in first.rows] == ["better", ""]
    assert [row.mark for row in other.rows] == ["worse"]
    assert first.charts == []
    assert "All 4 answers from the run's own passages are those of its results." in first.notes
    assert "9 prompts, 2 of them in the cache." in first.notes


def test_a_curve_has_a_point_for_each_system_and_variant() -> None:
    told = note(variant("0", 0.1), variant("4", 0.05, -0.05), repeated={"same": 3, "other": 2})
    told |= {"failed": 1, "without": 6, "costs": {"prompts": 9, "cached": 2, "spent": 0.5}}
    (part,) = variants(document(distractors=[told]), "distractors", "Distractors", "added")
    (chart,) = part.charts
    assert {line.name: len(line.points) for line in chart.lines} == {"base": 2, "tuned": 2}
    assert [tick.label for tick in chart.x_ticks] == ["0", "4"]
    text = "\n".join(part.notes)
    assert "WARNING: 2 of 5 answers from the run's own passages are not those" in text
    assert "WARNING: 1 questions are left out" in text
    assert "6 questions with too few distractors are left out." in text
    assert "0.50 dollars" in text


@pytest.mark.parametrize("kinds", [("answer_in_context", "gold_R")])
def test_without_a_generator_there_is_a_table_for_each_measure(kinds: tuple[str, ...]) -> None:
    told = note(variant("1", 0.1), variant("2", 0.2, 0.1), model=None)
    told["measures"] = dict.fromkeys(kinds, told["measures"]["em"])
    for key in ("costs", "failed", "repeated"):
        told.pop(key)
    parts = list(variants(document(retrieval=[told]), "retrieval", "Held", "k"))
    assert [part.title for part in parts] == [f"Held: {kind}" for kind in kinds]
    assert all(part.notes == [] for part in parts)
