"""Language models that judge by rules, and what they were asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from radio.cache import Cache
from radio.llm.base import Call, Failure, LanguageModel, Reply, Result
from radio.schema import Question, RetrievedPassage
from radio.teachers import Lesson


class Judge(LanguageModel):
    """Replies what a rule makes of a prompt; a question whose text holds "fail" fails.

    Args:
        rule: from the user's part of a prompt to the reply.
        lives: replies after which it is interrupted.
    """

    def __init__(self, rule: Callable[[str], str], lives: int = 10_000) -> None:
        super().__init__("judge", None, 100)
        self.rule = rule
        self.lives = lives
        self.broken = True
        self.asked: list[str] = []
        """Prompts that were answered."""
        self.rounds: list[int] = []
        """How many calls came together."""

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        self.rounds.append(len(calls))
        for call in calls:
            if self.broken and "fail" in call.user:
                yield call, Failure(call.question_id, "out of order")
                continue
            if not self.lives:
                raise KeyboardInterrupt
            self.lives -= 1
            self.asked.append(call.user)
            yield call, self.reply(call.user)

    def reply(self, prompt: str) -> Reply:
        return Reply(self.rule(prompt), "written", {"input": 100, "output": 10})

    def estimate(self, calls: Sequence[Call]) -> str:
        return f"{len(calls)} replies"


def worths(prompt: str) -> list[int]:
    """The hidden worth of each passage of a prompt, in its order."""
    return [int(number) for number in re.findall(r"worth (\d+)", prompt)]


def by_worth(prompt: str) -> str:
    """The order by worth, as a model would write it."""
    found = worths(prompt)
    order = sorted(range(len(found)), key=lambda place: -found[place])
    return " > ".join(f"[{place + 1}]" for place in order)


def lesson(name: str, numbers: Sequence[int], question: str = "Which lamp burns?") -> Lesson:
    """A question whose candidates, best first by the retriever, have these hidden worths."""
    passages = []
    for rank, number in enumerate(numbers):
        text = f"Lamp {number}\nThis one is worth {number} to {name}."
        passages.append(RetrievedPassage(f"p{rank}", text, rank, 100.0 - rank))
    return Lesson(Question(name, f"{question} ({name})", (f"lamp {name}",)), None, passages)
