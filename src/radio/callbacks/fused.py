"""The reranker's ranking merged with the retriever's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_info

from radio.callbacks.evaluation import Evaluation
from radio.callbacks.rankings import rankings_of
from radio.data.attached import datamodule_of
from radio.data.loading import BatchMaker, CandidatePassages, Groups, scores_by
from radio.data.module import RationaleDataModule
from radio.data.sharing import index_once, prepares
from radio.evaluation.systems import FUSED
from radio.evaluation.table import LEARNT_ON, merge_of
from radio.fusion import Judged, Learnt, Merge, Method, gains_of, learn, spread
from radio.fusion.merging import LEARNT, Weights, checked_weights
from radio.processes import stopping_together
from radio.ranges import check
from radio.rerankers import Reranker
from radio.schema import Example, InputError, Run, ranked

MERGED = ("reranker", "retriever")
"""What is merged, in the order of the weights."""


class Fused(L.Callback):
    """Merges the tuned reranker's ranking with the retriever's: the system ``fused`` of each
    evaluation, and what ``radio predict`` writes.

    How, and what becomes of ties, says :class:`radio.fusion.Merge`; the reranker's ranking comes
    first. Any reranker is merged, and trained and exported as without. A callback that evaluates
    the rankings of the run evaluates this one too; where its ``rankings`` are named, name ``fused``
    among them.

    Args:
        method: ``interleave``, ``reciprocal_rank``, ``min_max``, ``z_score`` or ``rank``.
        weights: of reranker and retriever, 0 or more; a number alone is the reranker's share. None
            weighs them equally, and ``learnt`` takes those of a grid with the highest nDCG@10 on
            training questions, against annotated passages, or else passages with an answer. They
            are said aloud and noted in ``metrics.json``. Validation and test are never looked at.
        k: of ``reciprocal_rank``; None is the published 60.
        max_questions: training questions that weights are learnt from at most: each evaluation
            ranks their candidates with the weights of the reranker as they are then.

    Raises:
        InputError: settings that do not go together.
    """

    def __init__(
        self,
        method: Method = "reciprocal_rank",
        weights: Weights = None,
        k: float | None = None,
        max_questions: int = 500,
    ) -> None:
        check(self, locals())
        self.method = method
        self.weights = checked_weights(self, method, weights, k, len(MERGED), "ranking")
        self.k = k
        self.max_questions = max_questions

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        rankings = rankings_of(trainer)
        if rankings.merged is not None and rankings.merged != self.merged:
            raise InputError("Fused: found two of them among the callbacks, expected one")
        rankings.merged = self.merged
        self.announce(trainer.callbacks)  # type: ignore[attr-defined]
        if self.weights == LEARNT:
            self._find_training(trainer)

    def announce(self, callbacks: Iterable[L.Callback]) -> None:
        """Tell those that evaluate the rankings of the run that there is one more."""
        for callback in callbacks:
            if isinstance(callback, Evaluation):
                callback.follow(FUSED)

    def _find_training(self, trainer: L.Trainer) -> None:
        """Find the candidates of the training questions, where the command needs no others."""
        data = datamodule_of(trainer)
        with stopping_together(trainer.strategy.root_device, slow=True):
            if not data.split_questions("train"):
                raise InputError(
                    "Fused: weights: found 'learnt' and no training questions, expected some; give "
                    "the weights as numbers"
                )
            if prepares(data):
                data.preparation.find_candidates("train")
                # as a table, so that the others open no cache
                data.preparation.candidates("train")

    def merged(self, trainer: L.Trainer, split: str, rankings: Mapping[str, Run]) -> Run:
        """The merged ranking of each question; all processes must call it.

        Args:
            trainer: of the run.
            split: of the questions.
            rankings: ``tuned`` and ``retriever`` of the same questions.
        """
        merge, about = self._merge(trainer)
        rankings_of(trainer).results.note(split, fused=about)
        if LEARNT_ON in about:
            rank_zero_info(f"{split}: fused: {merge_of(about)}")
        fused = {}
        for question_id, scores in rankings["tuned"].items():
            fused[question_id] = merge([best_first(scores), rankings["retriever"][question_id]])
        return fused

    def _merge(self, trainer: L.Trainer) -> tuple[Merge, dict[str, Any]]:
        """How rankings are merged now, and what is noted of it."""
        about: dict[str, Any] = {"method": self.method}
        if isinstance(self.weights, str):
            learnt = self._learnt(trainer, Merge(self.method, None, self.k))
            weights: list[float] | None = list(learnt.weights)
            about |= {
                LEARNT_ON: learnt.used,
                "nDCG@10": learnt.value,
                "nDCG@10, equal weights": learnt.equal,
            }
        else:
            weights = self.weights
        merge = Merge(self.method, weights, self.k)
        if self.method == "reciprocal_rank":
            about["k"] = merge.k
        return merge, {**about, "weights": weights}

    # Weights that are learnt

    def _learnt(self, trainer: L.Trainer, merge: Merge) -> Learnt:
        data = datamodule_of(trainer)
        examples = self._training(data)
        scores = ranked_by(trainer, data, examples)
        return learn(self, merge, _judged(data, examples, scores), len(MERGED))

    def _training(self, data: RationaleDataModule) -> list[Example]:
        """Training questions with as many candidates as an evaluation has."""
        questions = data.split_questions("train")
        telling = [one for one in questions if one.golden_answers or one.gold]
        candidates = data.preparation.candidates("train")
        examples = []
        for question in spread(telling, self.max_questions):
            first = candidates[question.id][: data.eval_candidates]
            examples.append(Example(question, first))
        return examples


def best_first(scores: Mapping[str, float]) -> dict[str, float]:
    """The same scores, equal ones by id."""
    return {candidate.passage_id: candidate.score for candidate in ranked(scores)}


def ranked_by(trainer: L.Trainer, data: RationaleDataModule, examples: list[Example]) -> Run:
    """The scores of these candidates by the reranker as it is now."""
    module = trainer.lightning_module
    if not isinstance(module, Reranker):
        raise InputError(f"Fused needs a radio Reranker, found {type(module).__name__}")
    passages = CandidatePassages(examples, data.corpus)
    index_once(module, passages, data.cache, first=prepares(data))
    groups = Groups(examples, passages, None, data.run_seed)
    size = data.eval_batch_size
    return scores_by(trainer, groups, BatchMaker(module), size=size, title="training questions")


def _judged(data: RationaleDataModule, examples: list[Example], scores: Run) -> Iterator[Judged]:
    for example in examples:
        own = scores[example.question.id]
        retriever = {one.passage_id: one.score for one in example.candidates}
        yield Judged(
            [best_first(own), retriever], gains_of(example.question, retriever, data.corpus)
        )
