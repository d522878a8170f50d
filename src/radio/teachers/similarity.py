"""Teachers by similarity to a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers.base import Teacher, min_max


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
