"""The same passages otherwise: in another order, more of them or fewer, or with others in
between."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from radio.evaluation.systems import lot

Orders = Mapping[str, Sequence[str]]
"""Passage ids by question id, best first."""

BEST_FIRST, BEST_LAST, SHUFFLED = "best first", "best last", "shuffled"
ORDERS = (BEST_FIRST, BEST_LAST, SHUFFLED)
"""How the passages of a question are put in front of a generator."""

TRIES = 200
"""Passages that are drawn for each distractor that is wanted; after them there are none."""


def ordered(question: str, passages: Sequence[str], how: str, seed: int) -> list[str]:
    """Passages of a question, given best first, in one of :data:`ORDERS`.

    What a shuffle does hangs on the seed and the ids alone: the same passages come in the same
    order, whichever system has chosen them.
    """
    if how == BEST_FIRST:
        return list(passages)
    if how == BEST_LAST:
        return list(passages)[::-1]
    return sorted(passages, key=lambda passage: lot(str(seed), question, passage))


@dataclass(frozen=True)
class Distractors:
    """Passages of other questions.

    Args:
        pool: the candidates of each question, by its id.
        allowed: whether a passage may distract from a question: it holds no answer of it and is
            not annotated.
        seed: of the draw.
    """

    pool: Orders
    allowed: Callable[[str, str], bool]
    seed: int

    def of(self, question: str, count: int) -> list[str]:
        """So many distinct passages for a question, fewer where there are no more; the first ones
        are the same, however many are wanted."""
        rng = random.Random(lot(str(self.seed), "distractors", question))
        others = [other for other, passages in self.pool.items() if other != question and passages]
        own, found = set(self.pool.get(question, ())), dict[str, None]()
        for _ in range(TRIES * count if others else 0):
            if len(found) == count:
                break
            passage = rng.choice(self.pool[rng.choice(others)])
            if passage not in own and passage not in found and self.allowed(question, passage):
                found[passage] = None
        return list(found)

    def mixed(
        self, question: str, passages: Sequence[str], distractors: Sequence[str]
    ) -> list[str]:
        """Passages in their order, with the distractors at places that are drawn, the same for all
        systems."""
        whole = len(passages) + len(distractors)
        rng = random.Random(lot(str(self.seed), "places", question, str(len(distractors))))
        places = set(rng.sample(range(whole), len(distractors)))
        mine, others = iter(passages), iter(distractors)
        return [next(others if place in places else mine) for place in range(whole)]
