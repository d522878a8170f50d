"""Numbers of a generator's answers: per question, of all questions together, and by groups of
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from radio.evaluation.measure import Numbers
from radio.evaluation.reading import Reading
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators import Prompt
from radio.metrics.answers import answer_in_context, answer_in_output, exact_match, f1
from radio.metrics.base import mean
from radio.metrics.choices import (
    CategoryMap,
    Group,
    accuracy,
    by_category,
    evidence_group,
    golden_label,
    macro_f1,
)
from radio.metrics.support import SUPPORT_METRICS, support_metrics
from radio.text import findable

OVERALL_METRICS = ("macro_f1",)
"""Numbers of all questions together that are no means of numbers per question."""

ANSWER_METRICS = (
    "em",
    "f1",
    "accuracy",
    "unparsed",
    "answer_in_output",
    "answer_in_context",
    *SUPPORT_METRICS,
    *OVERALL_METRICS,
)

OF_PASSAGES = ("answer_in_context", *SUPPORT_METRICS)
"""Those that judge the passages read: the closed book has none of them, and no groups by evidence.
A ranking of no passage has them, for it found nothing."""

Groups = dict[str, dict[str, float]]
"""Group -> its ``mean`` and how many ``questions`` it has."""


def without_passages(metrics: Sequence[str]) -> list[str]:
    """Those of these metrics that the closed book has."""
    return [name for name in metrics if name not in OF_PASSAGES]


def answer_numbers(
    prompt: Prompt, answer: str | None, reply: str, metrics: Sequence[str]
) -> Numbers:
    """Numbers of a generator's answer to one question: those metrics that the question gives
    grounds for.

    Without golden answers there is no ``em``, ``f1`` and ``accuracy``; without one that a passage
    can contain no ``answer_in_...``; without annotated passages none of support.

    Args:
        prompt: what was asked.
        answer: found in the reply; None could not be parsed, which counts as wrong.
        reply: as it came.
        metrics: names out of :data:`ANSWER_METRICS`; those of all questions together are left out.
    """
    question = prompt.question
    golden, found = question.golden_answers, answer or ""
    numbers: Numbers = {"unparsed": float(answer is None)}
    if golden:
        numbers["em"] = exact_match(found, golden)
        numbers["f1"] = f1(found, golden)
        numbers["accuracy"] = accuracy(answer, golden, question.choices)
    if findable(golden):
        texts = [passage.contents for passage in prompt.passages]
        numbers["answer_in_output"] = answer_in_output(reply, golden)
        numbers["answer_in_context"] = answer_in_context(texts, golden)
    numbers |= support_metrics([passage.id for passage in prompt.passages], question.gold)
    return {name: numbers[name] for name in metrics if name in numbers}


def overall(readings: Sequence[Reading], metrics: Sequence[str]) -> Numbers:
    """Numbers of all questions together that are no means over them.

    Args:
        readings: of one system and depth.
        metrics: names; those of single questions are left out.
    """
    judged = [reading for reading in readings if reading.prompt.question.golden_answers]
    if "macro_f1" not in metrics or not judged:
        return {}
    return {"macro_f1": _macro_f1(judged)}


def breakdown(
    readings: Sequence[Reading], metrics: Sequence[str], categories: CategoryMap = "radio"
) -> dict[str, Groups]:
    """Numbers of groups of questions, where these belong to some.

    - ``accuracy by subject``, ``accuracy by category`` (the mean over the questions of a category,
      micro) and ``accuracy by category, macro`` (over its subjects), of questions with a
      ``subject`` in their metadata;
    - ``accuracy by evidence`` and ``macro_f1 by evidence``: whether an annotated passage was among
      those read, of questions that have some and are no multiple choice; not of the closed book.

    Args:
        readings: of one system and depth.
        metrics: names, as for :func:`answer_numbers`.
        categories: the map from MMLU's subjects to its categories.
    """
    judged = [reading for reading in readings if reading.prompt.question.golden_answers]
    found: dict[str, dict[str, Group]] = {}
    if "accuracy" in metrics:
        subjects = _numbers(judged, _subject, _accuracy)
        found["accuracy by subject"] = subjects
        found["accuracy by category"] = by_category(subjects, categories, "micro")
        found["accuracy by category, macro"] = by_category(subjects, categories, "macro")
        found["accuracy by evidence"] = _numbers(judged, _evidence, _accuracy)
    if "macro_f1" in metrics:
        found["macro_f1 by evidence"] = _numbers(judged, _evidence, _macro_f1)
    return {name: _named(groups) for name, groups in found.items() if groups}


def _accuracy(readings: Sequence[Reading]) -> float:
    found = []
    for reading in readings:
        question = reading.prompt.question
        found.append(accuracy(reading.parsed, question.golden_answers, question.choices))
    return mean(found)


def _macro_f1(readings: Sequence[Reading]) -> float:
    golden = []
    for reading in readings:
        golden.append(golden_label(reading.parsed, reading.prompt.question.golden_answers))
    return macro_f1([reading.parsed for reading in readings], golden)


Key = Callable[[Reading], str | None]
"""The group of a reading, if it belongs to one."""


def _subject(reading: Reading) -> str | None:
    subject = reading.prompt.question.metadata.get("subject")
    return None if subject is None else str(subject)


def _evidence(reading: Reading) -> str | None:
    gold = reading.prompt.question.gold
    # of a claim the labels are its choices
    is_choice = reading.prompt.task == "multiple_choice"
    if is_choice or not gold or reading.system == CLOSED_BOOK:
        return None
    return evidence_group(any(passage.id in gold for passage in reading.prompt.passages))


def _numbers(
    readings: Sequence[Reading], key: Key, number: Callable[[Sequence[Reading]], float]
) -> dict[str, Group]:
    """The number of each group of the readings."""
    groups: dict[str, list[Reading]] = {}
    for reading in readings:
        group = key(reading)
        if group is not None:
            groups.setdefault(group, []).append(reading)
    return {group: (number(part), len(part)) for group, part in sorted(groups.items())}


def _named(groups: Mapping[str, Group]) -> Groups:
    return {name: {"mean": value, "questions": count} for name, (value, count) in groups.items()}
