"""Metrics of answers that are one of several: choices and labels."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Literal

CategoryMap = Literal["radio", "hendrycks"]
"""Which map of MMLU's subjects: they differ in anatomy."""

CATEGORIES: dict[str, str] = {
    "STEM": """
        abstract_algebra astronomy college_biology college_chemistry college_computer_science
        college_mathematics college_physics computer_security conceptual_physics
        electrical_engineering elementary_mathematics high_school_biology high_school_chemistry
        high_school_computer_science high_school_mathematics high_school_physics
        high_school_statistics machine_learning
    """,
    "Humanities": """
        formal_logic high_school_european_history high_school_us_history high_school_world_history
        international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy
        prehistory professional_law world_religions
    """,
    "Social Sciences": """
        econometrics high_school_geography high_school_government_and_politics
        high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
        professional_psychology public_relations security_studies sociology us_foreign_policy
    """,
    "Other": """
        anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging
        management marketing medical_genetics miscellaneous nutrition professional_accounting
        professional_medicine virology
    """,
}
"""Subjects of each category as Hendrycks et al. (ICLR 2021) group them."""


def category_of(subject: str, categories: CategoryMap = "radio") -> str | None:
    """The category of a subject of MMLU; None of one that is none of its 57.

    Args:
        subject: as in ``college_biology``; blanks for the underscores will do.
        categories: ``radio``, as RADIO and REPLUG published (anatomy is STEM), or ``hendrycks``
            (anatomy is Other).
    """
    subject = "_".join(subject.lower().replace("_", " ").split())
    if subject == "anatomy" and categories == "radio":
        return "STEM"
    for category, subjects in CATEGORIES.items():
        if subject in subjects.split():
            return category
    return None


def choice_accuracy(
    answer: str | None, golden_answers: Sequence[str], choices: Sequence[str]
) -> float:
    """1 if the answer is the text of a right choice, or its letter where no choice has that text.

    Choices are told apart as they are written, but for white space: no article is dropped ("A" is
    a letter), no case ("Pp" and "pp" are two genotypes).

    Args:
        answer: None where the reply could not be parsed, which counts as wrong.
        golden_answers: texts of the right choices.
        choices: all of them, in order; A is the first.
    """
    if answer is None:
        return 0.0
    found = _squeezed(answer)
    texts = [_squeezed(choice) for choice in choices]
    letters = string.ascii_uppercase[: len(choices)]
    if found not in texts and len(found) == 1 and found.upper() in letters:
        found = texts[letters.index(found.upper())]
    return float(bool(found) and found in map(_squeezed, golden_answers))


def label_accuracy(answer: str | None, golden_answers: Sequence[str]) -> float:
    """1 if the answer is one of the labels, whatever its case and underscores; None counts 0."""
    if answer is None:
        return 0.0
    return float(bool(answer.strip()) and label(answer) in map(label, golden_answers))


def label(text: str) -> str:
    """A label as labels are compared: ``NOT_ENOUGH_INFO`` is ``not enough info``."""
    return _squeezed(text.replace("_", " ")).casefold()


def golden_label(answer: str | None, golden_answers: Sequence[str]) -> str:
    """The golden label that an answer is held against: the one that it equals, else the first."""
    for golden in golden_answers:
        if answer is not None and label(answer) == label(golden):
            return golden
    return golden_answers[0] if golden_answers else ""


def macro_f1(predicted: Sequence[str | None], golden: Sequence[str]) -> float:
    """Mean of the F1 of each label that is golden somewhere; NaN without a question.

    What could not be parsed (None) is no label: it is missed by the golden one.
    """
    pairs = []
    for answer, right in zip(predicted, golden, strict=True):
        pairs.append((None if answer is None else label(answer), label(right)))
    found = []
    for each in sorted({right for _, right in pairs}):
        both = sum(answer == right == each for answer, right in pairs)
        either = sum((answer == each) + (right == each) for answer, right in pairs)
        found.append(2 * both / either)
    return sum(found) / len(found) if found else float("nan")


def _squeezed(text: str) -> str:
    return " ".join(text.split())
