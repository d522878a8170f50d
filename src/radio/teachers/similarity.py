"""Teachers by similarity to a text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radio.cache import Cache
from radio.encoders import Encoder
from radio.normalising import min_max
from radio.ranges import check
from radio.schema import Passage, Question, Rationale, RetrievedPassage
from radio.teachers.base import Lesson, Teacher, ThroughCache
from radio.teachers.templates import TextTemplate
from radio.text import sentences

TOGETHER = 32
"""Lessons whose embeddings are in memory together."""

Match = Literal["passage", "sentences"]
"""What of a passage is embedded: the whole, or each of its sentences."""


class BySimilarity(ThroughCache):
    """Compares texts of a question with its passages, or with their sentences.

    A subclass says which texts (:meth:`said`) and what it makes of their similarities
    (:meth:`weigh`). Every distinct text is embedded once, whichever questions it belongs to, and
    kept in the cache; in memory are the embeddings of some lessons at a time.

    A sentence of a passage is embedded with the title of the passage above it, as passages are: one
    from the middle of an article says "he" and "the film", and its title says who and which.

    Args:
        encoder: embedding model.
        match: what of a passage is compared: the whole, of which the encoder reads no more than
            its window, or each of its sentences.
    """

    def __init__(self, encoder: Encoder, match: Match) -> None:
        self.encoder = encoder
        self.match = match

    @abstractmethod
    def said(self, lesson: Lesson) -> list[list[str]]:
        """The texts that are compared: a list for each rationale, none of them empty."""

    @abstractmethod
    def weigh(
        self, lesson: Lesson, tables: list[NDArray[np.float32]], pieces: Sequence[int]
    ) -> list[float]:
        """The scores of the passages of a lesson that has some.

        Args:
            lesson: whose passages.
            tables: for each list of texts, the similarities ``[texts, pieces of all passages]``.
            pieces: how many columns belong to each passage, in their order; at least 1.
        """

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        self._embed(work, cache)
        for start in range(0, len(work), TOGETHER):
            yield from self._scored(work[start : start + TOGETHER], cache)

    def release(self) -> None:
        self.encoder.release()

    def _pieces(self, passage: Passage) -> list[str]:
        """What of a passage is embedded."""
        if self.match == "passage":
            return [passage.contents]
        found = not_blank(sentences(passage.text))
        if not passage.title:
            return found or [passage.contents]
        return [f"{passage.title}\n{sentence}" for sentence in found] or [passage.title]

    def prefetch(self, parts: Callable[[], Iterator[Sequence[Lesson]]], cache: Cache) -> None:
        pieces = (self._all_pieces(work) for work in parts())
        self.encoder.fill_each(pieces, cache, title="teacher: embed passages")
        texts = (self._all_said(work) for work in parts())
        self.encoder.fill_each(texts, cache, query=True, title="teacher: embed rationales")

    def _embed(self, work: Sequence[Lesson], cache: Cache) -> None:
        """Embed the texts of all lessons together: those of one length share a batch."""
        self.encoder.fill(self._all_pieces(work), cache, title="teacher: embed passages")
        texts = self._all_said(work)
        self.encoder.fill(texts, cache, query=True, title="teacher: embed rationales")

    def _all_pieces(self, work: Sequence[Lesson]) -> Iterator[str]:
        passages = {passage.contents: passage for lesson in work for passage in lesson.passages}
        for passage in passages.values():
            yield from self._pieces(passage)

    def _all_said(self, work: Sequence[Lesson]) -> Iterator[str]:
        for lesson in work:
            for texts in self.said(lesson):
                yield from texts

    def _scored(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        """The scores of lessons whose texts the cache has."""
        said = [self.said(lesson) if lesson.passages else [] for lesson in work]
        shown = [[self._pieces(passage) for passage in lesson.passages] for lesson in work]
        queries = _Places(text for lists in said for texts in lists for text in texts)
        pieces = _Places(piece for lists in shown for found in lists for piece in found)
        left = self.encoder.encode(list(queries), cache, query=True)
        right = self.encoder.encode(list(pieces), cache)
        for lesson, lists, passages in zip(work, said, shown, strict=True):
            if not passages:
                yield []
                continue
            every = [piece for found in passages for piece in found]
            # each distinct one once: a product may round two equal columns differently
            own = _Places(every)
            columns, places = right[pieces.of(own)], own.of(every)
            tables = [(left[queries.of(texts)] @ columns.T)[:, places] for texts in lists]
            yield self.weigh(lesson, tables, [len(found) for found in passages])


class RationaleSimilarity(BySimilarity):
    """Similarity of the rationale text and each passage, min-max over the candidates (arXiv
    2412.08519, section 3).

    With ``match: sentences`` both are cut into sentences, and the similarity is the mean of the
    ``top`` highest over rationale sentences x passage sentences (of all of them, where they are
    fewer). That is for passages longer than the encoder's window, of which ``passage`` compares the
    beginning alone, and for several hops: a passage that supports one fact of the rationale is not
    marked down for the others. It embeds some five times as many texts.

    Where a question has several rationales (:class:`radio.rationales.Several`), each makes a text;
    a passage has the mean of its similarities to them, or the highest, before min-max.

    Higher is better; there is no temperature. The published code joins the golden answers as a
    Python list is printed; here ``separator`` stands between them.

    Args:
        encoder: embedding model (published: bge-m3).
        template: the rationale text, from any of ``{question}``, ``{answers}`` and ``{rationale}``.
        separator: put between several golden answers.
        match: what is compared: ``passage`` (published), the text with the whole passage, or
            ``sentences``.
        top: with ``sentences``, of how many pairs the mean is taken.
        several: ``mean`` or ``max`` over the rationales of a question.
    """

    identity = "RationaleSimilarity"

    def __init__(
        self,
        encoder: Encoder | None = None,
        template: str = "{question}. {answers}. {rationale}",
        separator: str = ", ",
        match: Match = "passage",
        top: int = 3,
        several: Literal["mean", "max"] = "mean",
    ) -> None:
        check(self, locals())
        super().__init__(encoder or Encoder("BAAI/bge-m3"), match)
        self.template = template
        self.separator = separator
        self.top = top
        self.several = several
        self._filled = TextTemplate("RationaleSimilarity: template", template, separator)
        self.needs_rationale = "rationale" in self._filled.fields

    def depends_on(self) -> dict[str, Any]:
        settings = super().depends_on()
        # keys from before there were these settings stay as they were
        if self.match == "passage":
            del settings["match"], settings["top"]
        if self.several == "mean":
            del settings["several"]
        return settings

    @property
    def needs_answers(self) -> bool:  # type: ignore[override]
        return "answers" in self._filled.fields

    def text(self, question: Question, rationale: Rationale | None) -> str:
        """The text that is compared with the passages."""
        return self._filled.text(question, rationale)

    def said(self, lesson: Lesson) -> list[list[str]]:
        versions = [lesson.rationale]
        if lesson.rationale and self.needs_rationale:
            versions = [replace(lesson.rationale, text=text) for text in lesson.rationale.texts]
        found = []
        for rationale in versions:
            text = self.text(lesson.question, rationale)
            parts = [text] if self.match == "passage" else not_blank(sentences(text))
            found.append(parts or [text])
        return found

    def weigh(
        self, lesson: Lesson, tables: list[NDArray[np.float32]], pieces: Sequence[int]
    ) -> list[float]:
        by_text = [self._of_text(table, pieces) for table in tables]
        over_texts = np.mean if self.several == "mean" else np.max
        raw: NDArray[np.float64] = over_texts(by_text, axis=0)
        return min_max(raw.tolist())

    def _of_text(self, table: NDArray[np.float32], pieces: Sequence[int]) -> list[float]:
        """The similarity of one text with each passage."""
        if self.match == "passage":
            similarities: list[float] = table[0].tolist()
            return similarities
        found = []
        for columns in np.split(table, np.cumsum(pieces)[:-1], axis=1):
            highest = np.sort(columns, axis=None)[-self.top :]
            found.append(float(highest.mean(dtype=np.float64)))
        return found


class RetrievalScore(Teacher):
    """The retriever's own score, min-max over the candidates: the baseline that teaches nothing
    new."""

    identity = "RetrievalScore"
    needs_rationale = False

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return min_max([p.score for p in passages])


def not_blank(texts: Iterable[str]) -> list[str]:
    """Those of the texts that say something, without white space around them."""
    return [text.strip() for text in texts if text.strip()]


class _Places(dict[str, int]):
    """Distinct texts, in the order in which they come, with their places."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__()
        for text in texts:
            self.setdefault(text, len(self))

    def of(self, texts: Iterable[str]) -> list[int]:
        """Where these stand."""
        return [self[text] for text in texts]
