"""Teachers made of other teachers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import mul
from typing import Any, get_args

from radio import contracts
from radio.cache import Cache
from radio.normalising import Normalisation, normaliser, rescaled, shares
from radio.ranges import check
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers.base import Lesson, Teacher, checked_scores
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

    @property
    def costs(self) -> Mapping[str, float] | None:
        total: dict[str, float] = {}
        for part in self._parts:
            for name, value in (part.costs or {}).items():
                total[name] = total.get(name, 0) + value
        return total or None

    def prefetch(self, parts: Callable[[], Iterator[Sequence[Lesson]]], cache: Cache) -> None:
        for part in self._parts:
            part.prefetch(parts, cache)

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
    """A weighted sum of teachers, each normalised over the candidates of a question.

    ``sum_k w_k normalise(s_k)``, the weights divided by their sum. The default is the published
    teacher (arXiv 2412.08519, section 3): rationale and retrieval score, half and half, min-max.
    Higher is better. The parts may use any scale:

    - ``min_max``: from 0 for the worst to 1 for the best of each teacher (published);
    - ``z_score``: distances from the mean, in standard deviations;
    - ``rank``: from 1 for the first to 0 for the last, whatever the distances;
    - ``reciprocal_rank``: ``1 / (k + rank)``, reciprocal rank fusion (Cormack et al., SIGIR 2009);
    - ``softmax``: a distribution, ``exp(s / temperature)`` of the scores as the teacher gives them;
    - ``entropy``: a distribution whose entropy is the same share of the largest for all teachers
      and questions, so that none is flat where another is peaked.

    Sums of ``z_score`` leave [0, 1] and those of ``reciprocal_rank`` lie within a few thousandths
    of it: they are min-max scaled at the end. Those of ``softmax`` and ``entropy`` are mixtures of
    distributions and sum to 1: with a loss on distributions take ``teacher_temperature: null``.

    Args:
        teachers: what is blended; None is rationale similarity with bge-m3 and retrieval score.
        weights: one for each teacher, 0 or more; None weighs them equally. A number alone is the
            share of the first of two teachers, in [0, 1], and the second has the rest: for sweeps.
        normalise: see above.
        temperature: T > 0 of ``softmax``; None is 0.1.
        entropy: of ``entropy``, a share of the largest, between 0 and 1; None is 0.5.
        k: of ``reciprocal_rank``; None is the published 60.

    Raises:
        InputError: no teacher; weights of another number of teachers, or all 0; a setting of a
            normalisation that is not the one in use.
    """

    identity = "Blend"

    def __init__(
        self,
        teachers: list[Teacher] | None = None,
        weights: float | list[float] | None = None,
        normalise: Normalisation = "min_max",
        temperature: float | None = None,
        entropy: float | None = None,
        k: float | None = None,
    ) -> None:
        check(self, locals())
        if teachers is not None and not teachers:
            raise InputError("Blend: teachers: found none, expected at least one")
        self.teachers = teachers or [RationaleSimilarity(), RetrievalScore()]
        self.weights = shares("Blend", weights, len(self.teachers), "teacher")
        self.normalise = normalise
        self.needs_rationale = any(part.needs_rationale for part in self.teachers)
        given = {"temperature": temperature, "entropy": entropy, "k": k}
        self._setting = _setting_of(normalise, given)
        self._normalised = normaliser(normalise, self._setting)

    def depends_on(self) -> dict[str, Any]:
        found = super().depends_on()
        if self.normalise != "min_max":
            return found | {"setting": self._setting}
        if len(self.teachers) != 2:
            return found
        # under these names two teachers were blended before there could be more: what was paid for
        # is found
        for name in ("teachers", "weights", "normalise"):
            del found[name]
        first, second = self.teachers
        return found | {"rationale": first, "retrieval": second, "weight": self.weights[0]}

    @property
    def _parts(self) -> list[Teacher]:
        return self.teachers

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        lesson = Lesson(question, rationale, passages)
        return self._blended([_one(part, lesson, unit=False) for part in self.teachers])

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        # parts may use any scale: they are normalised
        scored = [checked_scores(part, work, cache, unit=False) for part in self.teachers]
        for scores in zip(*scored, strict=True):
            yield self._blended(scores)

    def _blended(self, scores: Sequence[Sequence[float]]) -> list[float]:
        """The sum for each candidate, of the scores by each teacher."""
        columns = [self._normalised(part) for part in scores]
        blended = []
        for values in zip(*columns, strict=True):
            blended.append(math.fsum(map(mul, self.weights, values)))
        return rescaled(blended) if self.normalise in ("z_score", "reciprocal_rank") else blended


SETTINGS: dict[str, tuple[str, float]] = {
    "softmax": ("temperature", 0.1),
    "entropy": ("entropy", 0.5),
    "reciprocal_rank": ("k", 60.0),
}
"""The setting of a normalisation, and its value where none is given."""


def _setting_of(normalise: Normalisation, given: Mapping[str, float | None]) -> float:
    """The setting of a normalisation; 0 where it has none."""
    if normalise not in get_args(Normalisation):
        raise InputError(
            f"Blend: normalise: found {normalise!r}, expected one of "
            f"{', '.join(get_args(Normalisation))}"
        )
    name, default = SETTINGS.get(normalise, ("", 0.0))
    for other, value in given.items():
        if other != name and value is not None:
            users = [user for user, (setting, _) in SETTINGS.items() if setting == other]
            raise InputError(
                f"Blend: {other}: found {value} with normalise {normalise!r}, which takes none; "
                f"leave it out (null), or write normalise: {users[0]}"
            )
    value = given.get(name)
    return default if value is None else float(value)


def _one(teacher: Teacher, lesson: Lesson, *, unit: bool = True) -> list[float]:
    """The scores of a part for one question, checked."""
    scores = teacher.score(lesson.question, lesson.rationale, lesson.passages)
    count = len(lesson.passages)
    return contracts.teacher_scores(teacher, lesson.question, scores, count, unit=unit)
