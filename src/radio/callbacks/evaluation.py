"""Evaluation after each validation and test: of the retriever, the base and the tuned reranker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from radio.callbacks.rankings import rankings_of
from radio.data.module import datamodule_of
from radio.evaluation.measure import RANKING_PREFIXES, order_of, ranking_numbers, tied_tops
from radio.evaluation.results import Results
from radio.formats import write_run
from radio.metrics.ranking import ranking_metrics
from radio.rerankers import Reranker
from radio.schema import Example, InputError, Run


class Evaluation(L.Callback):
    """Runs :meth:`evaluate` after each validation and test; its numbers go to the logger and the
    run folder."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        rankings_of(trainer).compares = True

    @abstractmethod
    def evaluate(
        self, trainer: L.Trainer, split: str, rankings: Mapping[str, Run], results: Results
    ) -> list[str]:
        """Add per-question numbers to the results; called on every process.

        Args:
            trainer: of the run.
            split: which questions.
            rankings: of these questions by name, complete.
            results: where numbers are added.

        Returns:
            The names of the metrics that were computed.
        """

    def _run(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        if trainer.sanity_checking:
            return
        if not isinstance(module, Reranker):
            raise InputError(
                f"{type(self).__name__} needs a radio Reranker, found {type(module).__name__}"
            )
        source = rankings_of(trainer)
        rankings, results = source.named(trainer, split), source.results
        names = self.evaluate(trainer, split, rankings, results)
        if not names:
            return
        datamodule = datamodule_of(trainer)
        results.note(
            split,
            of_questions=max(datamodule.split_size(split), len(datamodule.examples[split])),
            left_out=dict(datamodule.counts(split).left_out),
            precision=module.numerics,
            tied_tops={name: tied_tops(run) for name, run in rankings.items()},
        )
        # every process has the same numbers, because each has evaluated all questions
        module.log_dict(_logged(results, split, names))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "test")


def _logged(results: Results, split: str, names: Sequence[str]) -> dict[str, float]:
    """Means and differences of these metrics by the names under which they are logged."""
    logged = {}
    for system, means in results.means(split).items():
        prefix = split if system == "tuned" else f"{split}/{system}"
        for name in names:
            if name in means:
                logged[f"{prefix}/{name}"] = means[name]
    for name, paired in results.difference(split, "tuned", "base", names).items():
        place = f"{split}/tuned-base/{name}"
        logged[place] = paired["difference"]
        logged[f"{place}/low"] = paired["low"]
        logged[f"{place}/high"] = paired["high"]
    return logged


def examples_of(trainer: L.Trainer, split: str) -> dict[str, Example]:
    """What is known about the questions of a split, by id."""
    return {example.question.id: example for example in datamodule_of(trainer).examples[split]}


class RankEvaluation(Evaluation):
    """Ranking metrics before and after, and the rankings as TREC runs ``<split>.<system>.trec``.

    Each metric is computed

    - against the answer-bearing passages (``nDCG@5``), for questions whose answers a passage can
      contain, as a name and unlike a verdict;
    - against the annotated passages (``gold_nDCG@5``; recall counts those that no retriever found
      too), for questions that have some;
    - against the teacher's scores (``teacher_nDCG@5``; linear gain; for ``teacher_RR@10`` and the
      like the teacher's best passage alone is relevant), for questions that the teacher has scored.

    Args:
        metrics: ``RR`` and, for any k, ``RR@k``, ``nDCG@k``, ``R@k``, ``P@k``, as ir_measures names
            them.
    """

    def __init__(self, metrics: Sequence[str] = ("RR@10", "nDCG@5", "R@5", "P@1")) -> None:
        try:
            ranking_metrics([], metrics)
        except ValueError as error:
            raise InputError(f"RankEvaluation: {error}") from None
        self.metrics = list(metrics)

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics in the order in which they are shown."""
        return [prefix + name for prefix in RANKING_PREFIXES for name in self.metrics]

    def evaluate(
        self, trainer: L.Trainer, split: str, rankings: Mapping[str, Run], results: Results
    ) -> list[str]:
        examples, corpus = examples_of(trainer, split), datamodule_of(trainer).corpus
        for system, run in rankings.items():
            for question_id, numbers in ranking_numbers(
                run, examples, corpus, self.metrics
            ).items():
                scores = run[question_id]
                order = order_of(scores)
                results.add(
                    split,
                    system,
                    question_id,
                    numbers,
                    passage_ids=order,
                    scores=[scores[passage_id] for passage_id in order],
                )
            if trainer.is_global_zero:
                write_run(Path(trainer.default_root_dir) / f"{split}.{system}.trec", run, system)
        return self.metric_names
