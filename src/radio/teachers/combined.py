"""Teachers made of other teachers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from radio import contracts
from radio.cache import Cache
from radio.ranges import check
from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers.base import Lesson, Teacher, checked_scores, min_max
from radio.teachers.similarity import RationaleSimilarity, RetrievalScore
from radio.teachers.supervised import AnswerMatch


class OfTeachers(Teacher):
    """A teacher made of others: it needs what they need."""

    @property
    @abstractmethod
    def _parts(self) -> list[Teacher]:
        """What it is made of."""

    @property
    def needs_answers(self) -> bool:  # type: ignore[override]
        return any(part.needs_answers for part in self._parts)

    @property
    def needs_set(self) -> bool:  # type: ignore[override]
        return any(part.needs_set for part in self._parts)

    @property
    def needs_generator(self) -> str:
        names = [part.needs_generator for part in self._parts]
        return ", ".join(dict.fromkeys(filter(None, names)))

    def release(self) -> None:
        for part in self._parts:
            part.release()


class Gated(OfTeachers):
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

    @property
    def _parts(self) -> list[Teacher]:
        return [self.teacher, self.gate]

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        lesson = Lesson(question, rationale, passages)
        return self._gated(_one(self.teacher, lesson), _one(self.gate, lesson))

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        taught = checked_scores(self.teacher, work, cache)
        gates = checked_scores(self.gate, work, cache)
        for scores, openings in zip(taught, gates, strict=True):
            yield self._gated(scores, openings)

    def _gated(self, scores: Sequence[float], openings: Sequence[float]) -> list[float]:
        gated = []
        for score, opening in zip(scores, openings, strict=True):
            gated.append(score * (self.floor + (1 - self.floor) * opening))
        return gated


class Blend(OfTeachers):
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

    @property
    def _parts(self) -> list[Teacher]:
        return [self.rationale, self.retrieval]

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        lesson = Lesson(question, rationale, passages)
        first = _one(self.rationale, lesson, unit=False)
        second = _one(self.retrieval, lesson, unit=False)
        return self._blended(first, second)

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        # parts may use any scale: they are normalised
        firsts = checked_scores(self.rationale, work, cache, unit=False)
        seconds = checked_scores(self.retrieval, work, cache, unit=False)
        for first, second in zip(firsts, seconds, strict=True):
            yield self._blended(first, second)

    def _blended(self, first: Sequence[float], second: Sequence[float]) -> list[float]:
        blended = []
        for one, other in zip(min_max(first), min_max(second), strict=True):
            blended.append(self.weight * one + (1 - self.weight) * other)
        return blended


def _one(teacher: Teacher, lesson: Lesson, *, unit: bool = True) -> list[float]:
    """The scores of a part for one question, checked."""
    scores = teacher.score(lesson.question, lesson.rationale, lesson.passages)
    count = len(lesson.passages)
    return contracts.teacher_scores(teacher, lesson.question, scores, count, unit=unit)
