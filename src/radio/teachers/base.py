"""Teachers: one score in [0, 1] for each candidate of a question, from which the reranker
learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from radio import contracts
from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.schema import Question, Rationale, RetrievedPassage


def min_max(scores: Sequence[float]) -> list[float]:
    """Scale to [0, 1] over the candidates of one question; equal scores carry no preference and
    become 0.5."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if high <= low:
        return [0.5] * len(scores)
    return [(score - low) / (high - low) for score in scores]


class Teacher(Fingerprinted):
    """Scores the candidates of a question. A subclass implements :meth:`score`."""

    needs_rationale = True
    """Whether a question without a rationale can not be taught."""

    @abstractmethod
    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        """One score in [0, 1] for each passage, in their order, whatever that order is."""

    def prefetch(
        self,
        work: Iterable[tuple[Question, Rationale | None, Sequence[RetrievedPassage]]],
        cache: Cache,
    ) -> None:
        """Do in large batches what :meth:`score` will need for this work, and keep it in the cache
        (optional)."""


def teacher_key(
    teacher: str,
    corpus: str,
    question: Question,
    rationale: Rationale | None,
    passages: Sequence[RetrievedPassage],
) -> str:
    """Cache key of a teacher's scores: all that it is given. Two questions never share one.

    Args:
        teacher: its fingerprint.
        corpus: that of the corpus, which says what text a passage id stands for.
        question: which is asked.
        rationale: None if the teacher needs none.
        passages: the candidates, best first.
    """
    said = rationale.content if rationale else None
    scores = [[passage.id, passage.score] for passage in passages]
    return fingerprint(["teacher/2", teacher, corpus, question.id, question.content, said, scores])


def as_scores(value: Any) -> dict[str, float]:
    """A teacher's scores, passage id -> [0, 1], from an entry of the cache; anything else is a
    TypeError."""
    if not isinstance(value, dict) or not all(
        isinstance(score, int | float) and isfinite(score) for score in value.values()
    ):
        raise TypeError("expected an object of passage ids and finite scores")
    return value


def part_scores(
    teacher: Teacher,
    question: Question,
    rationale: Rationale | None,
    passages: Sequence[RetrievedPassage],
    *,
    unit: bool = True,
) -> list[float]:
    """The scores of a teacher that is part of another one."""
    scores = teacher.score(question, rationale, passages)
    return contracts.teacher_scores(teacher, question, scores, len(passages), unit=unit)
