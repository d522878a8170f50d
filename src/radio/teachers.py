"""Teachers: one score in [0, 1] for each candidate of a question, from which the reranker
learns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from math import isfinite
from string import Formatter
from typing import Any

from radio import contracts
from radio.cache import Cache, Fingerprinted, fingerprint
from radio.encoders import Encoder
from radio.metrics import findable, has_answer
from radio.ranges import check
from radio.schema import InputError, Question, Rationale, RetrievedPassage


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


def _asked(
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


class RationaleSimilarity(Teacher):
    """Similarity of the rationale text and each passage, min-max over the candidates (arXiv
    2412.08519, section 3).

    Args:
        encoder: embedding model (published: bge-m3).
        template: the rationale text, from ``{question}``, ``{answers}`` and ``{rationale}``.
        separator: put between several golden answers.
    """

    identity = "RationaleSimilarity"

    def __init__(
        self,
        encoder: Encoder | None = None,
        template: str = "{question}. {answers}. {rationale}",
        separator: str = ", ",
    ) -> None:
        self.encoder = encoder or Encoder("BAAI/bge-m3")
        self.template = template
        self.separator = separator
        self._cache: Cache | None = None
        try:
            template.format(question="", answers="", rationale="")
            fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise InputError(
                f"RationaleSimilarity: template {template!r} has an unknown field ({error}); "
                "expected {question}, {answers} and {rationale}"
            ) from None
        if not fields:
            raise InputError(
                f"RationaleSimilarity: template: found {template!r}, the same text for every "
                "question; expected at least one of {question}, {answers} and {rationale}"
            )
        self.needs_rationale = "rationale" in fields

    def text(self, question: Question, rationale: Rationale | None) -> str:
        """The text that is compared with the passages."""
        return self.template.format(
            question=question.question,
            answers=self.separator.join(question.golden_answers),
            rationale=rationale.text if rationale else "",
        )

    def prefetch(
        self,
        work: Iterable[tuple[Question, Rationale | None, Sequence[RetrievedPassage]]],
        cache: Cache,
    ) -> None:
        self._cache = cache
        texts, passages = [], {}
        for question, rationale, candidates in work:
            texts.append(self.text(question, rationale))
            passages.update({p.id: p.contents for p in candidates})
        self.encoder.encode(list(passages.values()), cache, title="teacher: embed passages")
        self.encoder.encode(texts, cache, query=True, title="teacher: embed rationales")

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        if self._cache is None:
            raise RuntimeError("RationaleSimilarity.prefetch(work, cache) comes before score()")
        target = self.encoder.encode([self.text(question, rationale)], self._cache, query=True)
        vectors = self.encoder.encode([p.contents for p in passages], self._cache)
        return min_max([float(cosine) for cosine in vectors @ target[0]])


class RetrievalScore(Teacher):
    """The retriever's own score, min-max over the candidates: the baseline that teaches nothing
    new."""

    identity = "RetrievalScore"
    needs_rationale = False

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return min_max([p.score for p in passages])


class AnswerMatch(Teacher):
    """1 for a passage that contains a golden answer, else 0: supervision by the answers alone, with
    no language model.

    The honest rival of rationale distillation, which sees the same answers; also the gate of
    :class:`Gated`. Where the answer is a verdict (yes, SUPPORTS), whose word says nothing about a
    passage, all have 1: no preference, an open gate.
    """

    identity = "AnswerMatch"
    needs_rationale = False
    version = 2

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        seen = findable(question.golden_answers)
        return [
            float(not seen or has_answer(p.contents, question.golden_answers)) for p in passages
        ]


class GoldPassages(Teacher):
    """1 for a passage that is annotated as supporting the answer (``gold_ids`` in the metadata),
    else 0.

    Where the annotation has grades, a passage scores its share of the question's highest. Plain
    supervision, for datasets of judged passages and for the warm-up of a reranker on labelled data.

    Raises:
        InputError: a question without ``gold_ids``.
    """

    identity = "GoldPassages"
    needs_rationale = False

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        if question.metadata.get("gold_ids") is None:
            raise InputError(
                f"GoldPassages: question {question.id!r}: metadata has no key 'gold_ids'"
            )
        grades = question.gold
        best = max(grades.values(), default=1.0)
        return [grades.get(p.id, 0.0) / best for p in passages]


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
        scores = _asked(self.teacher, question, rationale, passages)
        gates = _asked(self.gate, question, rationale, passages)
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
        first = min_max(_asked(self.rationale, question, rationale, passages, unit=False))
        second = min_max(_asked(self.retrieval, question, rationale, passages, unit=False))
        return [self.weight * a + (1 - self.weight) * b for a, b in zip(first, second, strict=True)]
