"""Choices and labels: what is right, MMLU's categories, and macro-F1 as scikit-learn has it."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from sklearn.metrics import f1_score

from radio.metrics.choices import (
    CATEGORIES,
    accuracy,
    by_category,
    category_of,
    choice_accuracy,
    golden_label,
    label_accuracy,
    macro_f1,
)


@pytest.mark.parametrize(
    ("answer", "golden", "choices", "expected"),
    [
        ("wind", ["wind"], ["rope", "wind"], 1),
        (" two  words ", ["two words"], ["two words", "x"], 1),
        ("B", ["wind"], ["rope", "wind"], 1),
        ("b", ["wind"], ["rope", "wind"], 1),
        ("C", ["wind"], ["rope", "wind"], 0),
        # a choice that is called as the letter of another
        ("B", ["B"], ["B", "A"], 1),
        ("A", ["B"], ["B", "A"], 0),
        # an article, a genotype, punctuation
        ("the", ["a"], ["a", "the"], 0),
        ("PP", ["Pp"], ["PP", "Pp"], 0),
        ("0,1", ["01"], ["01", "0,1"], 0),
        ("rope", ["rope", "wind"], ["rope", "wind", "fog"], 1),
        # golden answers as people write them
        ("wind", ["B"], ["rope", "wind"], 1),
        ("rope", ["B"], ["rope", "wind"], 0),
        ("NOT ENOUGH INFO", ["not_enough_info"], ["SUPPORTS", "NOT ENOUGH INFO"], 1),
        ("SUPPORTS", ["not_enough_info"], ["SUPPORTS", "NOT ENOUGH INFO"], 0),
        ("fog", ["fog"], ["rope", "wind"], 1),
        ("", [""], ["", "x"], 0),
        (None, ["wind"], ["rope", "wind"], 0),
    ],
)
def test_a_choice_is_right(
    answer: str | None, golden: list[str], choices: list[str], expected: float
) -> None:
    assert choice_accuracy(answer, golden, choices) == expected


def test_a_label_is_right_however_it_is_written() -> None:
    assert label_accuracy("not enough_info", ["NOT ENOUGH INFO"]) == 1.0
    assert label_accuracy("SUPPORTS", ["REFUTES"]) == 0.0
    assert label_accuracy("", [""]) == label_accuracy(None, ["REFUTES"]) == 0.0
    assert golden_label("b", ["A", "B"]) == "B"
    assert golden_label(None, ["A", "B"]) == golden_label("c", ["A", "B"]) == "A"


def test_the_57_subjects_have_a_category_and_anatomy_has_two() -> None:
    subjects = " ".join(CATEGORIES.values()).split()
    assert len(set(subjects)) == len(subjects) == 57
    # as published
    published = Counter(category_of(subject) for subject in subjects)
    assert published == {"STEM": 19, "Humanities": 13, "Social Sciences": 12, "Other": 13}
    of_hendrycks = Counter(category_of(subject, "hendrycks") for subject in subjects)
    assert of_hendrycks == {"STEM": 18, "Humanities": 13, "Social Sciences": 12, "Other": 14}
    assert category_of("Anatomy") == "STEM"
    assert category_of("anatomy", "hendrycks") == "Other"
    assert category_of("high school physics") == "STEM"
    assert category_of("cooking") is None


def test_means_over_categories_are_over_questions_or_over_subjects() -> None:
    subjects = {"virology": (1.0, 1), "anatomy": (1.0, 1), "astronomy": (0.2, 5), "x": (1.0, 9)}
    assert by_category(subjects, "radio", "micro") == {"Other": (1.0, 1), "STEM": (2 / 6, 6)}
    assert by_category(subjects, "radio", "macro") == {"Other": (1.0, 1), "STEM": (0.6, 6)}
    assert by_category(subjects, "hendrycks", "macro")["STEM"] == (0.2, 5)
    assert by_category({"x": (1.0, 9)}, "radio", "micro") == {}


def test_macro_f1_is_that_of_scikit_learn_over_the_golden_labels() -> None:
    golden = ["S", "S", "R", "S", "R", "R", "S"]
    predicted = ["S", "R", None, "S", "R", "N", "S"]
    theirs = f1_score(golden, [p or "-" for p in predicted], average="macro", labels=["R", "S"])
    assert macro_f1(predicted, golden) == pytest.approx(theirs)
    # a label that is golden nowhere is no class of its own
    assert macro_f1(["S", "N"], ["S", "S"]) == pytest.approx(2 / 3)
    assert math.isnan(macro_f1([], []))


def test_without_choices_a_right_answer_is_a_right_label() -> None:
    assert accuracy("B", ["wind"], ["rope", "wind"]) == 1
    assert accuracy("B", ["wind"]) == 0
    assert accuracy("not enough info", ["NOT_ENOUGH_INFO"]) == 1
    assert accuracy(None, ["wind"], ["rope", "wind"]) == accuracy(None, ["SUPPORTS"]) == 0
