"""What a teacher is: one score in [0, 1] for each candidate, from which the reranker learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radio import contracts
from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.schema import Question, Rationale, RetrievedPassage


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher is given of one question: its rationale, if there is one, and its candidates,
    best first."""

    question: Question
    rationale: Rationale | None
    passages: Sequence[RetrievedPassage]


class Teacher(Fingerprinted):
    """Scores the candidates of a question. A subclass implements :meth:`score`.

    One that computes for many questions at a time, or keeps in the cache what it computes,
    overrides :meth:`score_all`.
    """

    needs_rationale = True
    """Whether a question without a rationale can not be taught."""

    @abstractmethod
    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        """One score in [0, 1] for each passage, in their order, whatever that order is."""

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        """The scores of each lesson, in order, each when it is asked for.

        The caller stores them as they come: what was yielded before a kill is not asked for again.

        Args:
            work: what to score; empty if there is nothing left to do.
            cache: for what else is worth keeping, such as embeddings.
        """
        for lesson in work:
            yield self.score(lesson.question, lesson.rationale, lesson.passages)


def checked_scores(
    teacher: Teacher, work: Sequence[Lesson], cache: Cache, *, unit: bool = True
) -> Iterator[list[float]]:
    """:meth:`Teacher.score_all`, with each result checked as it comes.

    Args:
        teacher: who scores.
        work: what is scored.
        cache: where the teacher keeps what it computes.
        unit: whether scores are to lie in [0, 1].

    Raises:
        InputError: the teacher gave something else than one number for each passage, or scores of
            fewer or more lessons than it was given.
    """
    asked = [(lesson.question, len(lesson.passages)) for lesson in work]
    if _scores_one_by_one(type(teacher)):
        found = Teacher.score_all(teacher, work, cache)
        return contracts.all_teacher_scores(teacher, "score", asked, found, unit=unit)
    found = teacher.score_all(work, cache)
    return contracts.all_teacher_scores(teacher, "score_all", asked, found, unit=unit)


def _scores_one_by_one(kind: type[Teacher]) -> bool:
    """Whether ``score`` says how this class scores: a ``score`` written anew counts more than the
    ``score_all`` of the class that it was derived from, which knows nothing of it."""
    for base in kind.__mro__:
        if "score_all" in vars(base):
            return base is Teacher
        if "score" in vars(base):
            return True
    return True


def min_max(scores: Sequence[float]) -> list[float]:
    """Scale to [0, 1] over the candidates of one question; equal scores carry no preference and
    become 0.5."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if high <= low:
        return [0.5] * len(scores)
    return [(score - low) / (high - low) for score in scores]


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
