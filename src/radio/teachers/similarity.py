"""Teachers by similarity to a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import Formatter

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers.base import Lesson, Teacher
from radio.teachers.normalising import min_max


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
        self._shows_answers = "answers" in fields

    @property
    def needs_answers(self) -> bool:  # type: ignore[override]
        return self._shows_answers

    def text(self, question: Question, rationale: Rationale | None) -> str:
        """The text that is compared with the passages."""
        return self.template.format(
            question=question.question,
            answers=self.separator.join(question.golden_answers),
            rationale=rationale.text if rationale else "",
        )

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        raise RuntimeError(
            "RationaleSimilarity embeds through a cache: call score_all(work, cache), not score()"
        )

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        self._embed(work, cache)
        # by now the cache has all embeddings; only those of one question are in memory at a time
        for lesson in work:
            if not lesson.passages:
                yield []
                continue
            text = self.text(lesson.question, lesson.rationale)
            contents = [passage.contents for passage in lesson.passages]
            (target,) = self.encoder.encode([text], cache, query=True)
            similarities = self.encoder.encode(contents, cache) @ target
            yield min_max(similarities.tolist())

    def _embed(self, work: Sequence[Lesson], cache: Cache) -> None:
        """Embed the texts of all lessons together, each distinct one once: texts of one length
        share a batch, whichever question they belong to."""
        rationales: list[str] = []
        passages: dict[str, None] = {}
        for lesson in work:
            rationales.append(self.text(lesson.question, lesson.rationale))
            passages.update(dict.fromkeys(passage.contents for passage in lesson.passages))
        self.encoder.encode(list(passages), cache, title="teacher: embed passages")
        self.encoder.encode(rationales, cache, query=True, title="teacher: embed rationales")


class RetrievalScore(Teacher):
    """The retriever's own score, min-max over the candidates: the baseline that teaches nothing
    new."""

    identity = "RetrievalScore"
    needs_rationale = False

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return min_max([p.score for p in passages])
