"""From a ranking to numbers per question: how good the order is, and what a generator makes of its
top passages.

A ranking is a :data:`radio.schema.Run` (question id -> passage id -> score) and has a name where
there are several. Nothing here knows where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from radio.generators import Prompt
from radio.metrics.answers import exact_match, f1
from radio.metrics.ranking import annotated_metrics, ranking_metrics, relevance_of
from radio.schema import Example, Passage, Question, Run, ranked
from radio.text import findable, has_answer

Numbers = dict[str, float]
"""Metric -> value, of one question."""

Ask = Callable[[list[Prompt]], list[str]]
"""Gives an answer to each prompt, in order."""

RANKING_PREFIXES = ("", "gold_", "teacher_")
"""What stands before a ranking metric: against answer-bearing passages, annotated ones, the
teacher."""

ANSWER_METRICS = ("em", "f1", "answer_in_context")


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


class Reading(NamedTuple):
    """What a generator made of the top passages of a ranking, for one question."""

    ranking: str
    """Name of the ranking."""
    top_k: int
    """How many passages it was given, at most."""
    prompt: Prompt
    answer: str
    numbers: Numbers


def read(
    rankings: Mapping[str, Run],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
    depths: Iterable[int],
    ask: Ask,
) -> list[Reading]:
    """Have a generator read the top passages of each ranking.

    Args:
        rankings: by name.
        examples: by question id, at least those of the rankings.
        passages: by id, at least the top ones.
        depths: how many passages to read; each number is a reading of its own.
        ask: gives the answers; called once with all prompts
            (:func:`radio.generators.ask`).

    Returns:
        Readings by ranking, then question, then depth, in the order given.
    """
    depths = list(depths)
    asked: list[tuple[str, int, Prompt]] = []
    for name, run in rankings.items():
        for question_id, scores in run.items():
            order = order_of(scores)
            for depth in depths:
                top = tuple(passages[passage_id] for passage_id in order[:depth])
                asked.append((name, depth, Prompt(examples[question_id].question, top)))
    answers = _answers([prompt for _, _, prompt in asked], ask)
    readings = []
    for (name, depth, prompt), answer in zip(asked, answers, strict=True):
        readings.append(Reading(name, depth, prompt, answer, answer_numbers(prompt, answer)))
    return readings


def _answers(prompts: Sequence[Prompt], ask: Ask) -> list[str]:
    """What a generator knows without a passage is none of a ranking's doing: it is not asked."""
    answers = iter(ask([prompt for prompt in prompts if prompt.passages]))
    return [next(answers) if prompt.passages else "" for prompt in prompts]


def answer_numbers(prompt: Prompt, answer: str) -> Numbers:
    """EM and F1 of an answer where golden ones are known, and whether one was there to be read."""
    golden = prompt.question.golden_answers
    numbers = {}
    if golden:
        numbers = {"em": exact_match(answer, golden), "f1": f1(answer, golden)}
    if findable(golden):
        found = any(has_answer(passage.contents, golden) for passage in prompt.passages)
        numbers["answer_in_context"] = float(found)
    return numbers
