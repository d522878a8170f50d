"""What a generator makes of the top passages of rankings, and what it knows without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from radio.evaluation.measure import Numbers, order_of
from radio.evaluation.systems import CLOSED_BOOK, lot
from radio.generators import Answer, Prompt
from radio.llm.base import Failure
from radio.schema import Example, Passage, Run

Ask = Callable[[list[Prompt]], list[Answer | Failure]]
"""Gives an answer or a failure to each prompt, in order."""

Judge = Callable[[Prompt, Answer], tuple[str | None, Numbers]]
"""Reads a reply: the answer in it (None where there is none to be read), and the numbers of it."""

NOTHING = Answer("", outcome="empty")
"""Of a ranking without a passage: nobody is asked, for what a generator knows by itself is none of
its doing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a generator made of the top passages of a ranking, for one question."""

    system: str
    """Name of the ranking, or :data:`radio.evaluation.systems.CLOSED_BOOK`."""
    depth: int
    """How many passages it was given, at most; 0 without any."""
    prompt: Prompt
    answer: Answer
    parsed: str | None
    """The answer in the reply; None where it cannot be read."""
    numbers: Numbers


@dataclass(slots=True)
class Readings:
    """All that came of the asking."""

    read: list[Reading] = field(default_factory=list)
    """By system, then question, then depth."""
    failed: dict[str, str] = field(default_factory=dict)
    """Questions of which an answer could not be had, and why. They are left out of all systems: a
    comparison is of the same questions."""
    answers: list[Answer] = field(default_factory=list)
    """Of the distinct prompts, those that failed left out."""
    distinct: int = 0
    """How many prompts that were."""


def read(
    rankings: Mapping[str, Run],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
    depths: Iterable[int],
    *,
    task: str,
    closed_book: bool,
    ask: Ask,
    judge: Judge,
) -> Readings:
    """Have a generator read the top passages of each ranking.

    Args:
        rankings: by name.
        examples: by question id, at least those of the rankings.
        passages: by id, at least the top ones.
        depths: how many passages to read; each number is a reading of its own.
        task: of the prompts.
        closed_book: whether each question is asked without any passage too.
        ask: gives the answers; called once, with each distinct question and passages once.
        judge: reads them.
    """
    places = _places(rankings, examples, passages, list(depths), task)
    if closed_book:
        asked = dict.fromkeys(question_id for run in rankings.values() for question_id in run)
        for question_id in asked:
            prompt = Prompt(examples[question_id].question, (), task)
            places.append((CLOSED_BOOK, 0, prompt))
    distinct: dict[int, Prompt] = {}
    for system, _, prompt in places:
        if prompt.passages or system == CLOSED_BOOK:
            distinct[id(prompt)] = prompt
    answers = dict(zip(distinct, ask(list(distinct.values())), strict=True))
    found = Readings(distinct=len(distinct))
    for key, answer in answers.items():
        if isinstance(answer, Failure):
            found.failed[distinct[key].question.id] = answer.error
        else:
            found.answers.append(answer)
    judged: dict[int, tuple[str | None, Numbers]] = {}
    for system, depth, prompt in places:
        if prompt.question.id in found.failed:
            continue
        answer = answers.get(id(prompt), NOTHING)
        assert isinstance(answer, Answer)
        # the same answer from the same passages, whoever put them there
        if id(prompt) not in judged:
            judged[id(prompt)] = judge(prompt, answer)
        parsed, numbers = judged[id(prompt)]
        found.read.append(Reading(system, depth, prompt, answer, parsed, numbers))
    return found


def _places(
    rankings: Mapping[str, Run],
    examples: Mapping[str, Example],
    passages: Mapping[str, Passage],
    depths: Sequence[int],
    task: str,
) -> list[tuple[str, int, Prompt]]:
    """System, depth and prompt of each reading; the same question and passages are one prompt."""
    known: dict[tuple[str, ...], Prompt] = {}
    places = []
    for name, run in rankings.items():
        for question_id, scores in run.items():
            order = order_of(scores)
            for depth in depths:
                top = order[:depth]
                prompt = known.get((question_id, *top))
                if prompt is None:
                    texts = tuple(passages[passage_id] for passage_id in top)
                    prompt = Prompt(examples[question_id].question, texts, task)
                    known[question_id, *top] = prompt
                places.append((name, depth, prompt))
    return places


def sample(question_ids: Sequence[str], count: int | None) -> set[str]:
    """So many of these questions, always the same; all where ``count`` is None.

    They are chosen by their ids alone, so that every process, epoch and run has the same ones.
    """
    if count is None or len(question_ids) <= count:
        return set(question_ids)
    return set(sorted(question_ids, key=lot)[:count])


def compared_with_memory(readings: Sequence[Reading], right: str) -> list[Numbers]:
    """For each reading, whether the passages made the answer wrong or right.

    ``made_wrong`` is 1 where the generator answers rightly without any passage and wrongly with
    these, ``made_right`` the other way round; their means are shares of the questions.

    Args:
        readings: those of the closed book among them.
        right: the metric that is 1 where an answer is right.
    """
    knew: dict[str, bool] = {}
    for reading in readings:
        if reading.system == CLOSED_BOOK and right in reading.numbers:
            knew[reading.prompt.question.id] = reading.numbers[right] == 1.0
    compared: list[Numbers] = []
    for reading in readings:
        known = knew.get(reading.prompt.question.id)
        if reading.system == CLOSED_BOOK or known is None:
            compared.append({})
            continue
        is_right = reading.numbers[right] == 1.0
        made_wrong = known and not is_right
        made_right = is_right and not known
        compared.append({"made_wrong": float(made_wrong), "made_right": float(made_right)})
    return compared
