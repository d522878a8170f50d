"""What tests of the comparison share: random teachers of some questions, and a reader of their
top passages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from radio.evaluation.answers import answer_numbers
from radio.evaluation.measure import Numbers
from radio.evaluation.teachers.measure import Compared, Comparison, Reader
from radio.generators import Answer, Prompt
from radio.llm.base import Failure
from radio.schema import Candidate, Example, Passage, Question, Run

NAMES = ("retrieval", "configured", "other", "answers")
QUESTIONS = 12
CANDIDATES = 7


def examples() -> dict[str, Example]:
    """Questions whose answer is in some passages; half of them have annotated ones, of which one is
    no candidate."""
    found = {}
    for number in range(QUESTIONS):
        gold = {f"p{number}": 2.0, "p3": 1.0, "elsewhere": 1.0} if number % 2 else {}
        question = Question(
            f"q{number}",
            f"Which lamp is number {number}?",
            (f"lamp {number % 3}",),
            metadata={"gold_ids": gold},
        )
        candidates = tuple(Candidate(f"p{n}", n, -float(n)) for n in range(CANDIDATES))
        found[question.id] = Example(question, candidates)
    return found


def passages() -> dict[str, Passage]:
    found = {}
    for n in range(CANDIDATES):
        found[f"p{n}"] = Passage(f"p{n}", f"Tower {n}\nIn tower {n} burns lamp {n % 4}.")
    return found


def run(seed: int, levels: int = 4) -> Run:
    """Scores of so many levels, so that some are tied."""
    rng = random.Random(seed)
    scores: Run = {}
    for question in examples():
        scores[question] = {f"p{n}": rng.randrange(levels) / levels for n in range(CANDIDATES)}
    return scores


def teacher(name: str, scores: Run, **about: Any) -> Compared:
    known = {
        "class": "Made",
        "origin": "a test",
        "needs": [],
        "cached": len(scores),
        "seconds": 0.0,
        "costs": None,
    }
    return Compared(name, known | about, scores)


def comparison(**changes: Any) -> Comparison:
    teachers = [teacher(name, run(seed)) for seed, name in enumerate(NAMES)]
    settings = {
        "split": "validation",
        "examples": examples(),
        "passages": passages(),
        "teachers": teachers,
        "temperature": 0.1,
        "temperature_of": "a test",
    }
    return Comparison(**{**settings, **changes})


class Asking:
    """A reader that answers with the last words of the first passage, and counts its prompts."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.prompts: list[Prompt] = []
        self._failing = failing

    def ask(self, prompts: list[Prompt]) -> list[Answer | Failure]:
        self.prompts += prompts
        found: list[Answer | Failure] = []
        for prompt in prompts:
            if prompt.question.id in self._failing:
                found.append(Failure(prompt.question.id, "no answer today"))
            else:
                found.append(Answer(prompt.passages[0].contents.split("burns ")[1].strip(".")))
        return found

    def judge(self, prompt: Prompt, answer: Answer) -> tuple[str | None, Numbers]:
        return answer.text, answer_numbers(prompt, answer.text, answer.text, ["em", "f1"])

    def reader(self) -> Reader:
        about = {"name": None, "class": "Asking"}
        return Reader(about, "", ["em", "f1"], "em", "open_qa", self.ask, self.judge)
