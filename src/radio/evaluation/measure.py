"""From a ranking to numbers per question: how good the order is.

A ranking is a :data:`radio.schema.Run` (question id -> passage id -> score) and has a name where
there are several. Nothing here knows where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from radio.metrics.ranking import annotated_metrics, ranking_metrics, relevance_of
from radio.schema import Example, Passage, Question, Run, ranked
from radio.text import findable, has_answer

Numbers = dict[str, float]
"""Metric -> value, of one question."""

RANKING_PREFIXES = ("", "gold_", "teacher_")
"""What stands before a ranking metric: against answer-bearing passages, annotated ones, the
teacher."""


def is_an_error(name: str) -> bool:
    """Whether less of a metric is better."""
    return "made_wrong" in name or "unparsed" in name


def at_depths(names: Iterable[str]) -> dict[str, dict[int, str]]:
    """Metrics that were taken at several depths, the least first: ``em`` -> 1 -> ``em@1``."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        match = re.fullmatch(r"(.+)@(\d+)", name)
        if match:
            found.setdefault(match[1], {})[int(match[2])] = name
    return {name: dict(sorted(of.items())) for name, of in found.items() if len(of) > 1}


def order_of(scores: Mapping[str, float]) -> list[str]:
    """Passage ids, best first."""
    return [candidate.passage_id for candidate in ranked(scores)]


def tied_tops(run: Run) -> int:
    """Questions whose highest score belongs to two passages or more: their first place says
    nothing."""
    tied = 0
    for scores in run.values():
        descending = sorted(scores.values(), reverse=True)
        tied += len(descending) > 1 and descending[0] == descending[1]
    return tied


def ranking_numbers(
    run: Run,
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
    metrics: Sequence[str],
) -> dict[str, Numbers]:
    """Ranking metrics of each question of a run.

    Each is computed against the answer-bearing passages (``nDCG@5``), the annotated ones
    (``gold_nDCG@5``) and the teacher's scores (``teacher_nDCG@5``), where the question has them; a
    question without any has an empty row.

    Args:
        run: the ranking.
        examples: by question id, at least those of the run.
        passages: by id, at least those of the run.
        metrics: names of :func:`radio.metrics.ranking.ranking_metrics`.
    """
    numbers = {}
    for question_id, scores in run.items():
        example = examples[question_id]
        order = order_of(scores)
        numbers[question_id] = {
            **against_answers(order, example.question, passages, metrics),
            **against_annotations(order, example.question, metrics),
            **against_teacher(order, example.teacher or {}, metrics),
        }
    return numbers


def against_answers(
    order: Sequence[str],
    question: Question,
    passages: Mapping[str, Passage],
    metrics: Sequence[str],
) -> Numbers:
    """Metrics that take a passage for relevant if it contains a golden answer.

    None where no passage can contain one, as with a verdict.
    """
    answers = question.golden_answers
    if not findable(answers):
        return {}
    gains = {id_: float(has_answer(passages[id_].contents, answers)) for id_ in order}
    return ranking_metrics(relevance_of(order, gains), metrics)


def against_annotations(
    order: Sequence[str], question: Question, metrics: Sequence[str]
) -> Numbers:
    """Metrics by the grades of annotated passages, ``gold_`` before each name; none without."""
    gold = question.gold
    return annotated_metrics(order, gold, metrics) if gold else {}


def against_teacher(
    order: Sequence[str], teacher: Mapping[str, float], metrics: Sequence[str]
) -> Numbers:
    """Metrics by the teacher's scores, ``teacher_`` before each name; none without scores.

    nDCG has the scores as its gains; to the others the teacher's best passage alone is relevant.
    """
    if not teacher:
        return {}
    highest = max(teacher.values())
    best = {passage_id: float(score == highest) for passage_id, score in teacher.items()}
    numbers = {}
    for name in metrics:
        gains = teacher if name.startswith("nDCG") else best
        value = ranking_metrics(relevance_of(order, gains), [name])[name]
        numbers[f"teacher_{name}"] = value
    return numbers
