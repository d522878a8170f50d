"""From the scores of several teachers to numbers of each, side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from radio.evaluation import asked
from radio.evaluation.constant import constants
from radio.evaluation.measure import Numbers, order_of, ranking_numbers
from radio.evaluation.reading import Ask, Judge, Readings, read
from radio.evaluation.teachers.agreement import agreement, target_entropy
from radio.evaluation.teachers.blending import WEIGHTS, blends
from radio.evaluation.teachers.summary import differences, means
from radio.metrics.base import mean
from radio.schema import Example, InputError, Passage, Run

METRICS = ("RR@10", "nDCG@5", "P@1")
"""By which orders are compared: against answers, and as ``gold_...`` against annotated passages."""

ENTROPY, SHARE = "entropy", "entropy_share"
"""Of the targets: in nats, and as a share of log n, where n passages are as even as can be."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A teacher and what it made of the questions."""

    name: str
    about: Mapping[str, Any]
    """What it is: ``class``, ``origin``, ``needs``, ``costs``, ..., for people."""
    scores: Run
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why, of the questions that it cannot score."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A generator that reads the top passages of each teacher."""

    about: Mapping[str, Any]
    """``name``, ``class``, ... as in ``metrics.json``."""
    prefix: str
    """Before its metrics."""
    metrics: Sequence[str]
    right: str
    """The metric that is 1 where an answer is right."""
    task: str
    ask: Ask
    judge: Judge

    @property
    def title(self) -> str:
        return str(self.about["name"] or self.about["class"])


@dataclass(frozen=True, slots=True)
class Curve:
    """Two teachers, and whose weight goes from 0 to 1."""

    first: str
    second: str
    first_scores: Run
    second_scores: Run
    weight: float | None = None
    """Of the first, in the configuration; None where that blends no such two."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is compared.

    Args:
        split: whose questions.
        examples: of the split, by question id.
        passages: the corpus.
        teachers: the first one is the reference, the retriever's order.
        readers: of their top passages; none are needed.
        depths: how many passages these read.
        temperature: of the targets' softmax; None where the scores are a distribution already.
        temperature_of: where that is from, for people.
        curve: which two are blended; None for no curve.
        remarks: what else to say, for people.
    """

    split: str
    examples: Mapping[str, Example]
    passages: Mapping[str, Passage]
    teachers: Sequence[Compared]
    readers: Sequence[Reader] = ()
    depths: Sequence[int] = (1, 3)
    temperature: float | None = 1.0
    temperature_of: str = ""
    curve: Curve | None = None
    remarks: Sequence[str] = ()

    @property
    def questions(self) -> list[str]:
        """Ids of the questions that all teachers have scored."""
        return [
            question
            for question in self.examples
            if all(question in teacher.scores for teacher in self.teachers)
        ]


def measure(comparison: Comparison) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The document of ``teachers.json``, and a row for each question of the split.

    Raises:
        InputError: no question is scored by all teachers, or a generator gave no answer at all.
    """
    questions = comparison.questions
    if not questions:
        raise InputError(_nothing_to_compare(comparison))
    runs: dict[str, Run] = {}
    for teacher in comparison.teachers:
        runs[teacher.name] = {question: teacher.scores[question] for question in questions}
    blended = _blended(comparison, questions)
    numbers: dict[str, dict[str, Numbers]] = {}
    for name, run in [*runs.items(), *blended.items()]:
        numbers[name] = ranking_numbers(run, comparison.examples, comparison.passages, METRICS)
    names = [f"{prefix}{metric}" for prefix in ("", "gold_") for metric in METRICS]
    notes = []
    for reader in comparison.readers:
        readings = _readings(comparison, reader, {**runs, **blended})
        names += _add_readings(numbers, reader, readings, comparison.depths)
        constant = [str(found) for found in constants(readings.read, reader.right)]
        notes.append({**reader.about, **asked.tally(readings), "constant": constant})
    for name, run in runs.items():
        for question, scores in run.items():
            numbers[name][question] |= _entropy(list(scores.values()), comparison.temperature)
    there = [
        name for name in names if any(name in row for row in numbers[next(iter(runs))].values())
    ]
    document = {
        "split": comparison.split,
        "questions": len(questions),
        "of_questions": len(comparison.examples),
        "candidates": mean([float(len(scores)) for scores in runs[next(iter(runs))].values()]),
        "metrics": there,
        "top_k": list(comparison.depths),
        "reference": comparison.teachers[0].name,
        "temperature": {"value": comparison.temperature, "of": comparison.temperature_of},
        "teachers": _summaries(comparison, runs, numbers, there),
        "agreement": agreement(runs, questions),
        "curve": _curve(comparison, blended, numbers, there),
        "generators": notes,
        "remarks": list(comparison.remarks),
    }
    return document, list(_rows(comparison, runs, numbers))


def _nothing_to_compare(comparison: Comparison) -> str:
    whole = len(comparison.examples)
    reasons = []
    for teacher in comparison.teachers:
        lacking = ", ".join(f"{n} {why}" for why, n in Counter(teacher.left_out.values()).items())
        reasons.append(f"{teacher.name} {len(teacher.scores)} of {whole} ({lacking or 'all'})")
    remedy = ""
    if any("no rationale" in teacher.left_out.values() for teacher in comparison.teachers):
        remedy = (
            f"; rationales of {comparison.split} are obtained where data.init_args.rationales "
            "gives some and data.init_args.rationale_splits names the split"
        )
    return (
        f"teachers report: found no question of {comparison.split} that all teachers can score, "
        f"expected some; they score {'; '.join(reasons)}{remedy}"
    )


def _blended(comparison: Comparison, questions: Sequence[str]) -> dict[str, Run]:
    """The runs along the curve, by names of their own."""
    curve = comparison.curve
    if curve is None:
        return {}
    both = [q for q in questions if q in curve.first_scores and q in curve.second_scores]
    made = blends(curve.first_scores, curve.second_scores, both)
    return {_point(weight): run for weight, run in made.items()}


def _point(weight: float) -> str:
    """Name of a ranking of the curve, which is no name of a teacher."""
    return f"curve: {weight:.1f}"


def _readings(comparison: Comparison, reader: Reader, rankings: Mapping[str, Run]) -> Readings:
    """What a generator made of all rankings; the same passages in the same order are one prompt."""
    readings = read(
        rankings,
        comparison.examples,
        comparison.passages,
        comparison.depths,
        task=reader.task,
        closed_book=False,
        ask=reader.ask,
        judge=reader.judge,
    )
    if readings.failed and not readings.read:
        error = next(iter(readings.failed.values()))
        raise InputError(
            f"{comparison.split}: {reader.title} gave no answer about any of "
            f"{len(readings.failed)} questions: {error}"
        )
    return readings


def _add_readings(
    numbers: dict[str, dict[str, Numbers]],
    reader: Reader,
    readings: Readings,
    depths: Sequence[int],
) -> list[str]:
    """Add what was read to the numbers of each ranking and question; returns the metrics' names."""
    for reading in readings.read:
        row = numbers[reading.system][reading.prompt.question.id]
        for metric in reader.metrics:
            if metric in reading.numbers:
                row[f"{reader.prefix}{metric}@{reading.depth}"] = reading.numbers[metric]
    return [f"{reader.prefix}{metric}@{k}" for metric in reader.metrics for k in depths]


def _entropy(scores: Sequence[float], temperature: float | None) -> Numbers:
    entropy = target_entropy(scores, temperature)
    if entropy is None:
        return {}
    if len(scores) < 2:
        return {ENTROPY: entropy}
    return {ENTROPY: entropy, SHARE: entropy / math.log(len(scores))}


def _summaries(
    comparison: Comparison,
    runs: Mapping[str, Run],
    numbers: Mapping[str, Mapping[str, Numbers]],
    metrics: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Of each teacher: what it is, what it scored, means, intervals, and its differences to the
    reference."""
    table = {name: numbers[name] for name in runs}
    spread = means(table, [*metrics, ENTROPY, SHARE])
    compared = differences(table, comparison.teachers[0].name, metrics)
    found: dict[str, dict[str, Any]] = {}
    for teacher in comparison.teachers:
        scores = [list(row.values()) for row in runs[teacher.name].values()]
        found[teacher.name] = {
            **teacher.about,
            "scored": len(teacher.scores),
            "left_out": dict(Counter(teacher.left_out.values())),
            "all_tied": sum(map(_all_tied, scores)),
            "tied_tops": sum(map(_tied_top, scores)),
            **spread[teacher.name],
            "differences": compared[teacher.name],
        }
    return found


def _all_tied(scores: Sequence[float]) -> bool:
    """Whether several passages are scored alike: this question teaches no order."""
    return len(scores) > 1 and len(set(scores)) == 1


def _tied_top(scores: Sequence[float]) -> bool:
    return scores.count(max(scores)) > 1 if scores else False


def _curve(
    comparison: Comparison,
    blended: Mapping[str, Run],
    numbers: Mapping[str, Mapping[str, Numbers]],
    metrics: Sequence[str],
) -> dict[str, Any] | None:
    curve = comparison.curve
    if curve is None:
        return None
    spread = means({run: numbers[run] for run in blended}, metrics)
    points = []
    for weight, run in zip(WEIGHTS, blended, strict=True):
        points.append({"weight": weight, **spread[run]})
    return {
        "first": curve.first,
        "second": curve.second,
        "configured": curve.weight,
        "points": points,
    }


def _rows(
    comparison: Comparison,
    runs: Mapping[str, Run],
    numbers: Mapping[str, Mapping[str, Numbers]],
) -> Iterator[dict[str, Any]]:
    """A row for each question of the split; one that is not compared says what it lacks."""
    for question_id, example in comparison.examples.items():
        question = example.question
        row: dict[str, Any] = {
            "split": comparison.split,
            "id": question_id,
            "question": question.question,
            "golden_answers": list(question.golden_answers),
            "compared": all(question_id in run for run in runs.values()),
            "left_out": {},
            "teachers": {},
        }
        for teacher in comparison.teachers:
            scores = teacher.scores.get(question_id)
            if scores is None:
                row["left_out"][teacher.name] = teacher.left_out.get(question_id, "no scores")
                continue
            order = order_of(scores)
            row["teachers"][teacher.name] = {
                "passage_ids": order,
                "scores": [scores[passage] for passage in order],
                **numbers[teacher.name].get(question_id, {}),
            }
        yield row
