"""Metrics of answers that are one of several: choices and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from radio.metrics.base import mean
from radio.text import choice_of, label, squeezed

CategoryMap = Literal["radio", "hendrycks"]
"""Which map of MMLU's subjects: they differ in anatomy."""

Average = Literal["micro", "macro"]
"""Over the questions of a category, as RADIO published it, or over its subjects, as REPLUG did."""

Group = tuple[float, int]
"""Mean and number of the questions of a group."""

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


def by_category(
    by_subject: Mapping[str, Group], categories: CategoryMap, average: Average
) -> dict[str, Group]:
    """Accuracy and number of questions of each category, from those of its subjects.

    Args:
        by_subject: accuracies; subjects that are none of MMLU's are left out.
        categories: as in :func:`category_of`.
        average: what the mean is over.
    """
    subjects: dict[str, list[Group]] = {}
    for subject, group in by_subject.items():
        category = category_of(subject, categories)
        if category is not None:
            subjects.setdefault(category, []).append(group)
    found = {}
    for category, groups in sorted(subjects.items()):
        count = sum(questions for _, questions in groups)
        if average == "macro":
            over = mean([value for value, _ in groups])
        else:
            # back to whole numbers of right answers
            over = sum(round(value * questions) for value, questions in groups) / count
        found[category] = (over, count)
    return found


def evidence_group(found: bool) -> str:
    """The group of a question by whether an annotated passage was among those read."""
    return "with evidence" if found else "without evidence"


def choice_accuracy(
    answer: str | None, golden_answers: Sequence[str], choices: Sequence[str]
) -> float:
    """1 if the answer means a right choice (:func:`radio.text.choice_of`).

    Choices that differ as they are written, but for white space, are two: no article is dropped
    ("A" is a letter), no case ("Pp" and "pp" are two genotypes).

    Args:
        answer: None where the reply could not be parsed, which counts as wrong.
        golden_answers: the right choices.
        choices: all of them, in order; A is the first.
    """
    if answer is None:
        return 0.0
    found = _meant(answer, choices)
    return float(bool(found) and found in [_meant(golden, choices) for golden in golden_answers])


def label_accuracy(answer: str | None, golden_answers: Sequence[str]) -> float:
    """1 if the answer is one of the labels, whatever its case and underscores; None counts 0."""
    if answer is None:
        return 0.0
    return float(bool(answer.strip()) and label(answer) in map(label, golden_answers))


def accuracy(
    answer: str | None, golden_answers: Sequence[str], choices: Sequence[str] = ()
) -> float:
    """1 if an answer is the right choice, or the right label where there are no choices."""
    if choices:
        return choice_accuracy(answer, golden_answers, choices)
    return label_accuracy(answer, golden_answers)


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


def _meant(text: str, choices: Sequence[str]) -> str:
    """The choice that a text means; the text itself if there is none."""
    return squeezed(choice_of(text, choices) or text)
