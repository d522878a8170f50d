"""The rankings of an evaluation, collected once for all who read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import lightning as L
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from radio.data.attached import datamodule_of
from radio.evaluation.results import Results
from radio.evaluation.systems import FUSED
from radio.processes import gathered, stopping_together
from radio.reporting.loggers import log_evaluation
from radio.rerankers import Reranker
from radio.rerankers.sharding import is_sharded
from radio.rerankers.stepping import is_repeat
from radio.schema import GroupBatch, InputError, Run

Merging = Callable[[L.Trainer, str, Mapping[str, Run]], Run]
"""From trainer, split and the rankings of the run to another ranking."""


def rankings_of(trainer: L.Trainer) -> Rankings:
    """The callback that collects a trainer's rankings; it gets one if it has none.

    Who reads rankings calls it in ``setup``, so that no batch is missed.
    """
    callbacks: list[L.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, Rankings):
            return callback
    made = Rankings()
    # a new list: Lightning may be going through the old one. In front, since a ModelCheckpoint,
    # which needs all metrics, is the last one
    trainer.callbacks = [made, *callbacks]  # type: ignore[attr-defined]
    return made


class Rankings(L.Callback):
    """Collects the scores of validation, test and predict by question id.

    It ranks by the untrained reranker too, if :attr:`compares`, and keeps that ranking for the
    later evaluations of a split. What callbacks make of the rankings goes into :attr:`results`,
    which it writes into the run folder when the evaluation ends; loggers get tables of them when a
    command's evaluation does. Nobody needs to configure one:
    :func:`rankings_of` makes it.
    """

    def __init__(self) -> None:
        self.compares = False
        """Whether evaluations rank by the untrained reranker too; who compares with it says so, in
        ``setup``."""
        self.results = Results()
        self.scores: Run = {}
        """By the reranker as it is, of the evaluation at hand: of this process until
        :meth:`named`, or the end of predict, has put those of all processes together."""
        self._untrained: dict[str, Run] = {}
        """By the untrained reranker, of each split, complete on every process."""
        self._new_untrained: Run = {}
        """What it has ranked on this process in the evaluation at hand."""
        self.merged: Merging | None = None
        """Makes a further ranking, ``fused``, of the tuned reranker's and the retriever's; who
        merges sets it, in ``setup``."""
        self._named: dict[str, Run] | None = None
        self._reranker: L.LightningModule | None = None
        """Whose rankings these are."""

    def named(self, trainer: L.Trainer, split: str) -> dict[str, Run]:
        """The rankings of the questions just evaluated, complete on every process.

        All processes must call it; the rankings are put together at the first call.

        Returns:
            ``retriever``, ``base`` (the untrained reranker, if :attr:`compares`), ``tuned``, and
            ``fused`` if something merges, with the questions in the order of the dataset.
        """
        if self._named is None:
            self._put_together(split)
            named = self._in_order(trainer, split)
            if self.merged is not None:
                named[FUSED] = self.merged(trainer, split, named)
            self._named = named
        return self._named

    def _put_together(self, split: str) -> None:
        untrained = self._untrained.setdefault(split, {})
        parts = gathered((self.scores, self._new_untrained))
        self.scores = {}
        for scores, new_untrained in parts:
            # a question that fills up a share is taken from the same process in both
            self.scores.update(scores)
            untrained.update(new_untrained)

    def _in_order(self, trainer: L.Trainer, split: str) -> dict[str, Run]:
        # in the order of the data set, whatever the processes and the limits on batches were
        untrained = self._untrained.get(split, {})
        retriever: Run = {}
        base: Run = {}
        tuned: Run = {}
        for example in datamodule_of(trainer).examples[split]:
            question_id = example.question.id
            if question_id not in self.scores:
                continue
            retriever[question_id] = {c.passage_id: c.score for c in example.candidates}
            tuned[question_id] = self.scores[question_id]
            if question_id in untrained:
                base[question_id] = untrained[question_id]
        rankings = {"retriever": retriever, "base": base, "tuned": tuned}
        return {name: run for name, run in rankings.items() if len(run) == len(tuned)}

    def _start(self, module: L.LightningModule, split: str) -> None:
        if module is not self._reranker:
            self._reranker, self._untrained = module, {}
        self.scores, self._new_untrained, self._named = {}, {}, None
        # numbers of an evaluation before this one have nothing to do with it
        self.results.start(split)

    def _collect(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        split: str,
        scores: object,
        batch: GroupBatch,
        batch_idx: int,
    ) -> None:
        """Keep the scores that a step returned, and rank the batch by the untrained reranker."""
        if not isinstance(module, Reranker):
            return
        if not isinstance(scores, Tensor):
            if self.compares or split == "predict":
                raise InputError(
                    f"{type(module).__name__}: its step of {split} returned "
                    f"{type(scores).__name__}, expected the scores [B, G], as Reranker's own does"
                )
            # nobody asks for them
            return
        self.scores |= by_question(batch, scores)
        if not self.compares or split == "predict" or trainer.sanity_checking:
            return
        known = self._untrained.get(split, {})
        new = any(question_id not in known for question_id in batch.question_ids)
        loader = trainer.val_dataloaders if split == "validation" else trainer.test_dataloaders
        # what only fills up is ranked where it belongs
        new = new and not is_repeat(loader, batch_idx)
        if is_sharded(module.network):
            # the processes hold the weights together: all rank, or none
            new = any(gathered(new))
        # each process enters it for each batch: whether there is something new may differ
        with stopping_together(module.device):
            if new:
                self._new_untrained |= by_question(batch, module.untrained_scores(batch))

    def _write(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        if trainer.sanity_checking or not isinstance(module, Reranker):
            return
        with stopping_together(module.device):
            if trainer.is_global_zero:
                folder = Path(trainer.default_root_dir)
                self.results.write(folder)
                # not of each validation of a training: the one of the best weights ends it
                if trainer.state.fn != "fit" and self.results.metrics[split]:
                    log_evaluation(trainer.loggers, folder, split, trainer.global_step)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start(pl_module, "validation")

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start(pl_module, "test")

    def on_predict_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start(pl_module, "predict")

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: GroupBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._collect(trainer, pl_module, "validation", outputs, batch, batch_idx)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: GroupBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._collect(trainer, pl_module, "test", outputs, batch, batch_idx)

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: GroupBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._collect(trainer, pl_module, "predict", outputs, batch, batch_idx)

    def on_predict_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # the first process alone writes them: it could not put them together later
        self._put_together("predict")
        if self.merged is not None:
            examples = datamodule_of(trainer).examples
            split = "predict" if "predict" in examples else "test"
            self.scores = self.merged(trainer, split, self._in_order(trainer, split))
            rank_zero_info("predict: the rankings are the reranker's merged with the retriever's")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer, pl_module, "validation")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer, pl_module, "test")


def by_question(batch: GroupBatch, scores: Tensor) -> Run:
    """Scores ``[B, G]`` of a batch by question and passage; padding is left out."""
    run = {}
    for question_id, passage_ids, values in zip(
        batch.question_ids, batch.passage_ids, scores.tolist(), strict=True
    ):
        run[question_id] = dict(zip(passage_ids, values, strict=False))
    return run
