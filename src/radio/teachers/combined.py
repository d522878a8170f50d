"""Teachers made of other teachers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from radio.cache import Cache
from radio.ranges import check
from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers.base import Teacher, min_max, part_scores
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch


class Gated(Teacher):
    """A teacher's scores where a gate is open, ``floor`` times them where it is closed.

    With :class:`AnswerMatch` as the gate, no passage without the answer is above one with it that
    is as similar.

    Args:
        teacher: what is gated.
        gate: a teacher whose score is the opening, 0 to 1.
        floor: what is left of a score behind a closed gate, in [0, 1].
    """

    identity = "Gated"

    def __init__(
        self, teacher: Teacher | None = None, gate: Teacher | None = None, floor: float = 0.5
    ) -> None:
        check(self, locals())
        self.teacher = teacher or RationaleSimilarity()
        self.gate = gate or AnswerMatch()
        self.floor = floor
        self.needs_rationale = self.teacher.needs_rationale or self.gate.needs_rationale

    def prefetch(
        self,
        work: Iterable[tuple[Question, Rationale | None, Sequence[RetrievedPassage]]],
        cache: Cache,
    ) -> None:
        work = list(work)
        self.teacher.prefetch(work, cache)
        self.gate.prefetch(work, cache)

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        scores = part_scores(self.teacher, question, rationale, passages)
        gates = part_scores(self.gate, question, rationale, passages)
        return [s * (self.floor + (1 - self.floor) * g) for s, g in zip(scores, gates, strict=True)]


class Blend(Teacher):
    """The published teacher: ``weight * rationale + (1 - weight) * retrieval``, both min-max
    normalised.

    Args:
        rationale: the first teacher.
        retrieval: the second teacher.
        weight: share of the first, in [0, 1].
    """

    identity = "Blend"

    def __init__(
        self,
        rationale: Teacher | None = None,
        retrieval: Teacher | None = None,
        weight: float = 0.5,
    ) -> None:
        check(self, locals())
        self.rationale = rationale or RationaleSimilarity()
        self.retrieval = retrieval or RetrievalScore()
        self.weight = weight
        self.needs_rationale = self.rationale.needs_rationale or self.retrieval.needs_rationale

    def prefetch(
        self,
        work: Iterable[tuple[Question, Rationale | None, Sequence[RetrievedPassage]]],
        cache: Cache,
    ) -> None:
        work = list(work)
        self.rationale.prefetch(work, cache)
        self.retrieval.prefetch(work, cache)

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        first = min_max(part_scores(self.rationale, question, rationale, passages, unit=False))
        second = min_max(part_scores(self.retrieval, question, rationale, passages, unit=False))
        return [self.weight * a + (1 - self.weight) * b for a, b in zip(first, second, strict=True)]
