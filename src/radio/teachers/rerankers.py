"""A reranker as the teacher of another one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from radio.cache import Cache
from radio.fingerprints import code_of, fingerprint
from radio.models.files import model_fingerprint
from radio.models.limits import place
from radio.normalising import min_max
from radio.ranges import check
from radio.rerankers import Reranker, exports
from radio.rerankers.opening import opened
from radio.rerankers.scoring import load, scores_of
from radio.schema import Group, InputError, Passage, Question, Rationale
from radio.teachers.base import Lesson, ThroughCache
from radio.teachers.templates import TextTemplate

KIND = "reranker score"
"""The kind of the cache's entries."""

QUERIES = {"question": "{question}", "rationale": "{rationale}"}
"""Templates that have a name."""


class Pair(NamedTuple):
    """A text and a passage to be scored for it."""

    question: str
    """Id of the question, for messages."""
    query: str
    passage: Passage


class RerankerTeacher(ThroughCache):
    """The scores of a reranker that was trained before: cross-encoder, bi-encoder, late interaction
    or yes/no language model. More is better.

    With ``scale: sigmoid`` the score is ``1 / (1 + exp(-s))``, on one scale for all questions. Take
    it where ``s`` is the logit of a probability, as of cross-encoders trained with a binary
    cross-entropy (bge-reranker) and of yes/no language models, whose score then is
    ``p(yes) / (p(yes) + p(no))``. With ``scale: min_max`` it is ``(s - min) / (max - min)`` over
    the candidates of a question, for scores of any scale, such as the cosines of a bi-encoder; one
    candidate, and equal ones, get 0.5. Equal scores stay equal, and no score depends on the order
    of the passages.

    To distil a large reranker into a small one is common practice (FlagEmbedding's bge-reranker;
    Hofstätter et al., arXiv 2010.02666). With the rationale as the query it is the similarity of
    :class:`radio.teachers.RationaleSimilarity` (arXiv 2412.08519) by a model that reads both texts
    together.

    Scores are computed in fp32 without dropout, whatever the precision of a later training, and
    kept in the cache by weights, settings, query and passage, a batch at a time.

    Args:
        reranker: an exported folder, or the folder of a run, which bring their class and settings;
            the name of a cross-encoder; or a reranker by its ``class_path``, whose settings are
            then those given here, also where its ``model`` is an exported folder.
        query: what passages are scored for: ``question`` (as rerankers are given it), ``rationale``
            or a template of ``{question}``, ``{answers}`` and ``{rationale}``.
        scale: ``min_max`` or ``sigmoid``.
        separator: put between several golden answers.
        batch_size: pairs that are scored together.
        device: for example ``cuda``; None takes the best there is.

    Raises:
        InputError: the reranker has been loaded already, so that its weights need not be those of
            its folder; or the template has an unknown field.
    """

    identity = "RerankerTeacher"

    def __init__(
        self,
        reranker: Reranker | str,
        query: str = "question",
        scale: Literal["min_max", "sigmoid"] = "min_max",
        separator: str = ", ",
        batch_size: int = 64,
        device: str | None = None,
    ) -> None:
        check(self, locals())
        self._reranker = opened(reranker) if isinstance(reranker, str) else reranker
        if self._reranker.network is not None:
            raise InputError(
                f"RerankerTeacher: reranker: found a {type(self._reranker).__name__} that is "
                "loaded, whose weights may have been trained since; export it, and give the folder"
            )
        template = QUERIES.get(query, query)
        self._template = TextTemplate("RerankerTeacher: query", template, separator)
        self._batch_size = batch_size
        self._device = device
        self._identity: list[Any] | None = None
        self.query = query
        self.scale = scale
        self.separator = separator
        self.needs_rationale = "rationale" in self._template.fields

    @property
    def reranker(self) -> Reranker:
        """Who scores."""
        return self._reranker

    @property
    def needs_answers(self) -> bool:  # type: ignore[override]
        return "answers" in self._template.fields

    # Keys

    def depends_on(self) -> dict[str, Any]:
        return {**super().depends_on(), "reranker": self._scorer()}

    def _scorer(self) -> list[Any]:
        """All that a score depends on beside its texts."""
        if self._identity is None:
            reranker = self._reranker
            self._identity = [
                code_of(type(reranker), Reranker),
                model_fingerprint(reranker.model),
                exports.ranking_settings(reranker),
                # a bi-encoder's may hang on the name of its folder
                getattr(reranker, "prefixes", None),
            ]
        return self._identity

    # Scores

    def text(self, question: Question, rationale: Rationale | None) -> str:
        """The query that passages are scored for."""
        if self.query == "question":
            return question.query
        return self._template.text(question, rationale)

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        pairs: dict[str, Pair] = {}
        keys_of: list[list[str]] = []
        scorer = fingerprint(["reranker score/1", self._scorer()])
        for lesson in work:
            query = self.text(lesson.question, lesson.rationale)
            keys = []
            for passage in lesson.passages:
                key = fingerprint([scorer, query, passage.contents])
                pairs.setdefault(key, Pair(lesson.question.id, query, passage))
                keys.append(key)
            keys_of.append(keys)
        missing = {key: pairs[key] for key in cache.missing(list(pairs))}
        if missing:
            self._fill(missing, cache)
        for keys in keys_of:
            stored = cache.get_json(keys, float)
            yield self._scaled([stored[key] for key in keys])

    def _scaled(self, scores: Sequence[float]) -> list[float]:
        if self.scale == "sigmoid":
            return [sigmoid(score) for score in scores]
        return min_max(scores)

    def _fill(self, missing: dict[str, Pair], cache: Cache) -> None:
        """Score these pairs, each batch stored before the next one."""
        from tqdm import tqdm

        reranker = self._loaded()
        reranker.index({pair.passage.id: pair.passage for pair in missing.values()}, cache)
        collate = reranker.collator()
        # of like length, the longest first: what does not fit into the memory shows itself at once.
        # The same passage for several questions stands together, and a bi-encoder reads it once
        order = sorted(missing, key=lambda key: _length_and_text(missing[key]))
        with tqdm(total=len(order), desc="reranker teacher", unit="passage", leave=False) as bar:
            for start in range(0, len(order), self._batch_size):
                keys = order[start : start + self._batch_size]
                groups = [_group(missing[key]) for key in keys]
                scores = [score for (score,) in scores_of(reranker, collate, groups)]
                cache.put_json(KIND, dict(zip(keys, scores, strict=True)))
                bar.update(len(keys))

    def _loaded(self) -> Reranker:
        """The reranker with its weights, in evaluation mode."""
        if self._reranker.network is None:
            # before it is loaded: its length may be cut to the model's positions then
            self._scorer()
            load(self._reranker, place(self._device))
        return self._reranker

    def release(self) -> None:
        import torch

        self._reranker.network = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def sigmoid(score: float) -> float:
    """1 / (1 + exp(-score)), for scores of any size."""
    if score >= 0:
        return 1 / (1 + math.exp(-score))
    return math.exp(score) / (1 + math.exp(score))


def _group(pair: Pair) -> Group:
    # it may be a candidate of a question that has a text of its own for the retriever
    question = Question(pair.question, pair.query)
    passage = Passage(pair.passage.id, pair.passage.contents)
    return Group(question, (passage,), (math.nan,))


def _length_and_text(pair: Pair) -> tuple[int, str, int]:
    contents = pair.passage.contents
    return -len(contents), contents, -len(pair.query)
