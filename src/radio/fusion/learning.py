"""Weights of a merge, chosen on training questions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from radio.fusion.merging import Merge, Ranking
from radio.normalising import ROUNDING
from radio.schema import InputError, Passage, Question
from radio.text import findable, has_answer

DEPTH = 10
"""Weights are chosen by nDCG at this depth."""

STEPS = {2: 20, 3: 10}
"""Into how many parts the weights of so many rankings divide; more of them make do with 5."""

T = TypeVar("T")


class Judged(NamedTuple):
    """A training question: its rankings, and which of their passages are relevant."""

    rankings: Sequence[Ranking]
    gains: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Weights and what they are worth on the questions that they were chosen on."""

    weights: tuple[float, ...]
    value: float
    """Mean nDCG with them."""
    equal: float
    """Mean nDCG with equal weights."""
    used: int
    """Questions with a relevant passage: no other one says anything about weights."""
    asked: int

    def told(self, names: Sequence[str]) -> str:
        """For people: the weight of each ranking, and on how many questions it was chosen."""
        shown = [f"{name} {w:.2f}" for name, w in zip(names, self.weights, strict=True)]
        return (
            f"weights learnt on {self.used} of {self.asked} training questions: "
            f"{', '.join(shown)} (nDCG@{DEPTH} there {self.value:.3f}, with equal weights "
            f"{self.equal:.3f})"
        )


def spread(items: Sequence[T], count: int) -> list[T]:
    """So many of these, spread evenly over them; all if there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def gains_of(
    question: Question, ids: Iterable[str], passages: Mapping[str, Passage]
) -> dict[str, float]:
    """The gains of those of these passages that are relevant, by id.

    They are the grades of annotated passages; of a question without any, 1 for a passage that
    contains a golden answer.
    """
    if question.gold:
        return {passage: question.gold[passage] for passage in ids if passage in question.gold}
    answers = question.golden_answers
    if not findable(answers):
        return {}
    return {name: 1.0 for name in ids if has_answer(passages[name].contents, answers)}


def grid(count: int) -> NDArray[np.float64]:
    """All weights of so many rankings that are looked at, ``[W, count]``; each row sums to 1."""
    steps = STEPS.get(count, 5)
    return np.array(list(_divisions(steps, count)), dtype=np.float64) / steps


def _divisions(total: int, count: int) -> Iterator[tuple[int, ...]]:
    """All ways to divide a number into so many parts, in order."""
    if count == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _divisions(total - first, count - 1):
            yield (first, *rest)


def learn(part: object, merge: Merge, questions: Iterable[Judged], count: int) -> Learnt:
    """The weights with the highest mean nDCG@10 of a grid over all shares.

    Of equally good ones those nearest to equal weights are taken. What no ranking has found does
    not count, since no weights would change it.

    Args:
        part: who merges, for messages.
        merge: its method.
        questions: of the training split, and no other.
        count: of rankings.

    Raises:
        InputError: there is no training question, or none with a relevant passage.
    """
    rows = np.vstack([grid(count), np.full((1, count), 1 / count)])
    total = np.zeros(len(rows))
    used = asked = 0
    for judged in questions:
        asked += 1
        if judged.gains:
            used += 1
            total += _values(merge, judged, rows)
    if not used:
        lacks = "none of them has a passage with an answer, or an annotated one"
        raise InputError(
            f"{type(part).__name__}: weights: found 'learnt' with {asked} training questions, "
            f"{lacks if asked else 'expected some'}; give the weights as numbers"
        )
    means = np.round(total / used, ROUNDING)
    *_, equal = means.tolist()
    distances = ((rows - 1 / count) ** 2).sum(axis=1)
    # the last row is equal weights
    best = min(range(len(rows)), key=lambda row: (-means[row], round(distances[row], ROUNDING)))
    return Learnt(tuple(rows[best].tolist()), float(means[best]), equal, used, asked)


def _values(merge: Merge, judged: Judged, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """nDCG of one question with each row of weights, ``[W]``."""
    ids, columns = merge.columns(judged.rankings)
    sums = rows @ np.array(columns)
    largest = np.abs(sums).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    # ids are sorted: equal sums stay in their order
    order = np.argsort(-np.round(sums / largest, ROUNDING), axis=1, kind="stable")
    gains = np.array([judged.gains.get(passage, 0.0) for passage in ids])
    places = range(1, min(DEPTH, len(ids)) + 1)
    discounts = np.array([1 / math.log2(place + 1) for place in places])
    ideal = np.sort(gains)[::-1][: len(discounts)] @ discounts
    found: NDArray[np.float64] = gains[order[:, : len(discounts)]] @ discounts / ideal
    return found
