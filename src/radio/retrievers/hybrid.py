"""Several retrievers as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from radio import contracts
from radio.cache import Cache
from radio.fusion import Judged, Merge, Method, gains_of, learn, spread
from radio.fusion.merging import LEARNT, Weights, checked_weights
from radio.models.messages import say
from radio.ranges import check
from radio.retrievers.base import Retriever
from radio.retrievers.bm25 import BM25
from radio.retrievers.dense import Dense
from radio.schema import Candidate, InputError, Passage, Question

LEARNT_FROM = 1000
"""Training questions that weights are learnt from at most: more do not change two decimals."""


class Hybrid(Retriever):
    """The lists of several retrievers merged for each question.

    How, and what becomes of ties and of passages that one list alone has, says
    :class:`radio.fusion.Merge`. What only fills up a list, such as BM25's passages without a word
    of the question, counts as not found by it. A candidate that was put in by hand (``injected``)
    and that no retriever has found stands at the end, beyond those that are asked for.

    Args:
        retrievers: two or more; None is BM25 and dense retrieval with e5-base-v2.
        method: ``interleave``, ``reciprocal_rank``, ``min_max``, ``z_score`` or ``rank``.
        weights: one for each retriever, 0 or more; a number alone is the share of the first of two.
            None weighs them equally, and ``learnt`` takes those of a grid with the highest nDCG@10
            on up to 1000 training questions, against annotated passages, or else passages with an
            answer. They are said aloud. Validation and test are never looked at.
        k: of ``reciprocal_rank``; None is the published 60.
        depth: candidates that each retriever is asked for; None takes as many as are to be found.

    Raises:
        InputError: fewer than two retrievers, or settings that do not go together.
    """

    identity = "Hybrid"

    def __init__(
        self,
        retrievers: list[Retriever] | None = None,
        method: Method = "reciprocal_rank",
        weights: Weights = None,
        k: float | None = None,
        depth: int | None = None,
    ) -> None:
        check(self, locals())
        if retrievers is None:
            retrievers = [BM25(), Dense()]
        if len(retrievers) < 2:
            raise InputError(
                f"Hybrid: retrievers: found {len(retrievers)}, expected two or more to merge"
            )
        self.retrievers = retrievers
        self.method = method
        self.weights = checked_weights(self, method, weights, k, len(retrievers), "retriever")
        self.k = Merge(method, None, k).k if method == "reciprocal_rank" else None
        self.depth = depth
        self._training: list[Question] | None = None
        self._learnt: dict[int, Merge] = {}
        self._corpus: Mapping[str, Passage] = {}

    @property
    def learns(self) -> bool:  # type: ignore[override]
        return self.weights == LEARNT or any(part.learns for part in self.retrievers)

    def learn(self, questions: Sequence[Question]) -> None:
        for part in self.retrievers:
            if part.learns:
                part.learn(questions)
        # one that has neither answers nor annotations says nothing
        telling = [one for one in questions if one.golden_answers or one.gold]
        training = spread(telling, LEARNT_FROM)
        if training != self._training:
            self._training, self._learnt = training, {}

    def depends_on(self) -> dict[str, Any]:
        settings = super().depends_on()
        if self.weights == LEARNT:
            # the weights follow from these, from the retrievers and from the corpus
            settings["training"] = [question.content for question in self._known_training()]
        return settings

    def _known_training(self) -> list[Question]:
        if self._training is None:
            raise InputError(
                "Hybrid: weights: found 'learnt' before learn() was called, expected the training "
                "questions first; the data module hands them over"
            )
        return self._training

    def asked(self, question: Question) -> list[Any]:
        return [part.asked(question) for part in self.retrievers]

    def index(self, passages: Mapping[str, Passage], cache: Cache) -> None:
        self._corpus = passages
        for part in self.retrievers:
            part.index(passages, cache)

    def search(self, questions: Sequence[Question], k: int) -> Iterator[list[Candidate]]:
        depth = self.depth or k
        merge = self._merge(depth)
        for lists in self._lists(questions, depth):
            yield self._merged(merge, lists, k)

    def release(self) -> None:
        for part in self.retrievers:
            part.release()

    def _lists(self, questions: Sequence[Question], depth: int) -> Iterator[list[list[Candidate]]]:
        """For each question the list of each retriever."""
        found = []
        for part in self.retrievers:
            rankings = part.search(questions, depth)
            found.append(contracts.candidates(part, questions, rankings, depth, self._corpus))
        for lists in zip(*found, strict=True):
            yield list(lists)

    def _merge(self, depth: int) -> Merge:
        if isinstance(self.weights, str):
            if depth not in self._learnt:
                self._learnt[depth] = self._learn_weights(depth)
            return self._learnt[depth]
        return Merge(self.method, self.weights, self.k)

    def _learn_weights(self, depth: int) -> Merge:
        questions = self._known_training()
        lists = self._lists(questions, depth) if questions else iter(())
        plain = Merge(self.method, None, self.k)
        judged = map(self._judged, questions, lists)
        learnt = learn(self, plain, judged, len(self.retrievers))
        say(f"Hybrid: {learnt.told(names_of(self.retrievers))}")
        return Merge(self.method, learnt.weights, self.k)

    def _judged(self, question: Question, lists: Sequence[Sequence[Candidate]]) -> Judged:
        rankings = self._searched(lists)
        ids = dict.fromkeys(passage for ranking in rankings for passage in ranking)
        return Judged(rankings, gains_of(question, ids, self._corpus))

    def _searched(self, lists: Sequence[Sequence[Candidate]]) -> list[dict[str, float]]:
        """The scores of what each retriever has found, best first."""
        found = []
        for part, candidates in zip(self.retrievers, lists, strict=True):
            scores = {one.passage_id: one.score for one in candidates if not one.injected}
            if part.filling is not None:
                scores = {name: score for name, score in scores.items() if score > part.filling}
            found.append(scores)
        return found

    def _merged(
        self, merge: Merge, lists: Sequence[Sequence[Candidate]], k: int
    ) -> list[Candidate]:
        rankings = self._searched(lists)
        everything = {one.passage_id: one.injected for part in lists for one in part}
        # found by one, and put into another's list: then it was found
        everything |= {one.passage_id: False for part in lists for one in part if not one.injected}
        scores = merge(rankings, everything)
        first = [name for name in scores if not everything[name]][:k]
        last = [name for name in scores if everything[name]]
        merged = []
        for rank, name in enumerate([*first, *last]):
            merged.append(Candidate(name, rank, scores[name], everything[name]))
        return merged


def names_of(parts: Sequence[object]) -> list[str]:
    """The names of their classes, numbered where two have the same one."""
    names = [type(part).__name__ for part in parts]
    counts = Counter(names)
    shown = []
    for number, name in enumerate(names):
        shown.append(f"{name} {names[:number].count(name) + 1}" if counts[name] > 1 else name)
    return shown
