"""What a teacher is: one score in [0, 1] for each candidate, from which the reranker learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from radio import contracts
from radio.cache import Cache
from radio.fingerprints import Fingerprinted, fingerprint
from radio.schema import InputError, Question, Rationale, RetrievedPassage


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

    needs_answers = False
    """Whether a question without golden answers can not be taught."""

    needs_set = False
    """Whether the score of a passage depends on the other candidates, beyond a scaling."""

    @property
    def needs_generator(self) -> str:
        """The name of the model that reads the passages for it; empty if none does."""
        return ""

    @property
    def costs(self) -> Mapping[str, float] | None:
        """What the scores of this process took beside time, by name, for people: calls, tokens,
        dollars; None where that is nothing, or not known."""
        return None

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

    def prefetch(self, parts: Callable[[], Iterator[Sequence[Lesson]]], cache: Cache) -> None:
        """Compute what :meth:`score_all` will look for in the cache, for several calls of it
        together (optional): asked for where an engine holds the models, and begins anew each time.

        Args:
            parts: gives what each call will be given.
            cache: where it is kept.
        """

    def release(self) -> None:
        """Free what was loaded to score; the next call loads it again."""


class ThroughCache(Teacher):
    """A teacher that keeps what it computes for many questions in the cache: it implements
    :meth:`score_all` alone."""

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        raise RuntimeError(
            f"{type(self).__name__} scores through a cache: call score_all(work, cache), not "
            "score()"
        )

    @abstractmethod
    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]: ...


def with_parts(part: object) -> Iterator[Teacher]:
    """A teacher and those that it is made of, whatever holds them."""
    if isinstance(part, Teacher):
        yield part
        part = vars(part)
    if isinstance(part, Mapping):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            yield from with_parts(value)


def needs(teacher: Teacher) -> list[str]:
    """What a teacher needs of a question beside its candidates, in words, for people."""
    found = []
    if teacher.needs_answers:
        found.append("golden answers")
    if teacher.needs_rationale:
        found.append("rationale")
    if teacher.needs_generator:
        found.append(f"generator ({teacher.needs_generator})")
    if teacher.needs_set:
        found.append("candidates as a set")
    return found


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
        InputError: a question lacks what the teacher needs; the teacher gave something else than
            one number for each passage, or scores of fewer or more lessons than it was given.
    """
    for lesson in work:
        check_needs(teacher, lesson.question, lesson.rationale)
    asked = [(lesson.question, len(lesson.passages)) for lesson in work]
    if _scores_one_by_one(type(teacher)):
        found = Teacher.score_all(teacher, work, cache)
        return contracts.all_teacher_scores(teacher, "score", asked, found, unit=unit)
    found = teacher.score_all(work, cache)
    return contracts.all_teacher_scores(teacher, "score_all", asked, found, unit=unit)


def check_needs(teacher: Teacher, question: Question, rationale: Rationale | None) -> None:
    """Refuse a question that lacks what a teacher needs.

    Raises:
        InputError: names the question and what it lacks.
    """
    kind = type(teacher).__name__
    if teacher.needs_answers and not question.golden_answers:
        raise InputError(
            f"{kind}: question {question.id!r}: found no golden_answers, expected at least one: "
            "this teacher reads them; leave the question out, or take a teacher that needs none"
        )
    if teacher.needs_rationale and rationale is None:
        raise InputError(
            f"{kind}: question {question.id!r}: found no rationale, expected one: this teacher "
            "reads it; take a teacher that needs none, or let the question be left out "
            "(data.init_args.missing_rationales: drop)"
        )


def _scores_one_by_one(kind: type[Teacher]) -> bool:
    """Whether ``score`` says how this class scores: a ``score`` written anew counts more than the
    ``score_all`` of the class that it was derived from, which knows nothing of it."""
    for base in kind.__mro__:
        if "score_all" in vars(base):
            return base is Teacher
        if "score" in vars(base):
            return True
    return True


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
