"""Evaluation after each validation and test: of the retriever, the base and the tuned reranker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from radio.callbacks.rankings import rankings_of
from radio.data.attached import datamodule_of
from radio.data.module import RationaleDataModule
from radio.evaluation.measure import RANKING_PREFIXES, order_of, ranking_numbers, tied_tops
from radio.evaluation.results import Results
from radio.evaluation.systems import FUSED, OF_THE_RUN, check_rankings, chosen
from radio.formats import write_run
from radio.metrics.ranking import ranking_metrics
from radio.processes import stopping_together
from radio.rerankers import Reranker
from radio.runs import story
from radio.schema import Example, InputError, Run


class Evaluation(L.Callback):
    """Runs :meth:`evaluate` after each validation and test; its numbers go to the logger and the
    run folder.

    Args:
        rankings: names of what is evaluated, of those in :mod:`radio.evaluation.systems`; None
            takes those of the run.
    """

    def __init__(self, rankings: Sequence[str] | None = None) -> None:
        self.rankings = list(OF_THE_RUN if rankings is None else rankings)
        self._takes_all = rankings is None
        check_rankings(self, self.rankings)

    def follow(self, system: str) -> None:
        """Evaluate a further ranking of the run, unless the config names those that it wants."""
        if self._takes_all and system not in self.rankings:
            self.rankings.append(system)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        rankings_of(trainer).compares = True

    def _check_fused(self, trainer: L.Trainer) -> None:
        named = FUSED in self.rankings and not self._takes_all
        if named and rankings_of(trainer).merged is None:
            raise InputError(
                f"{type(self).__name__}: rankings: found {FUSED!r}, which nothing makes; add the "
                "callback Fused (--config callbacks/fused)"
            )

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_fused(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_fused(trainer)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check_fused(trainer)

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

    @abstractmethod
    def names_by_system(self, datamodule: RationaleDataModule) -> dict[str, list[str]]:
        """The metrics of each system, in the order in which they are shown."""

    def logged_names(self, split: str, datamodule: RationaleDataModule) -> set[str]:
        """Names under which an evaluation of this split is logged, and can be monitored."""
        found = set()
        for system, names in self.names_by_system(datamodule).items():
            found |= {f"{place_of(split, system)}/{name}" for name in names}
            if system == "tuned" and "base" in self.rankings:
                for name in names:
                    place = f"{split}/tuned-base/{name}"
                    found |= {place, f"{place}/low", f"{place}/high"}
        return found

    def _run(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        if trainer.sanity_checking:
            return
        if not isinstance(module, Reranker):
            raise InputError(
                f"{type(self).__name__} needs a radio Reranker, found {type(module).__name__}"
            )
        source = rankings_of(trainer)
        of_the_run, results = source.named(trainer, split), source.results
        datamodule = datamodule_of(trainer)
        with stopping_together(module.device):
            examples = examples_of(trainer, split)
            rankings = chosen(self, self.rankings, of_the_run, examples, datamodule.corpus)
        names = self.evaluate(trainer, split, rankings, results)
        if not names:
            return
        results.describe(split, [example.question for example in examples.values()])
        scores = {name: example.teacher for name, example in examples.items() if example.teacher}
        if scores:
            results.describe_lessons(split, scores, rationale_texts(datamodule, split))
        # of another callback, that evaluates further rankings
        unranked = dict(results.notes[split].get("unranked", {}))
        for name, run in rankings.items():
            if len(run) < len(of_the_run["retriever"]):
                unranked[name] = len(of_the_run["retriever"]) - len(run)
        results.note(
            split,
            of_questions=max(datamodule.counts(split).total, len(datamodule.examples[split])),
            left_out=dict(datamodule.counts(split).left_out),
            precision=module.numerics,
            tied_tops={name: tied_tops(run) for name, run in of_the_run.items()},
            unranked=unranked,
        )
        logged = _logged(results, split, names) | self.further(results, split)
        # because each process has evaluated all questions
        story.same_everywhere(logged)
        module.log_dict(logged)

    def further(self, results: Results, split: str) -> dict[str, float]:
        """What else is logged, by its whole name."""
        return {}

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "test")


def place_of(split: str, system: str) -> str:
    """Under which the metrics of a system are logged: the tuned reranker's stand first."""
    return split if system == "tuned" else f"{split}/{system}"


def _logged(results: Results, split: str, names: Sequence[str]) -> dict[str, float]:
    """Means and differences of these metrics by the names under which they are logged."""
    logged = {}
    for system, means in results.means(split).items():
        for name in names:
            if name in means:
                logged[f"{place_of(split, system)}/{name}"] = means[name]
    for name, paired in results.difference(split, "tuned", "base", names).items():
        place = f"{split}/tuned-base/{name}"
        logged[place] = paired["difference"]
        logged[f"{place}/low"] = paired["low"]
        logged[f"{place}/high"] = paired["high"]
    return logged


def rationale_texts(datamodule: RationaleDataModule, split: str) -> dict[str, str]:
    """What is written of the questions of a split, by id."""
    written = datamodule.preparation.written(split)
    return {question_id: rationale.text for question_id, rationale in written.items()}


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
        rankings: names of what is evaluated: ``retriever``, ``base`` and ``tuned`` (None takes
            these three), ``teacher``, ``annotated`` (annotated passages first), ``random``.
    """

    def __init__(
        self,
        metrics: Sequence[str] = ("RR@10", "nDCG@5", "R@5", "P@1"),
        rankings: list[str] | None = None,
    ) -> None:
        super().__init__(rankings)
        try:
            ranking_metrics([], metrics)
        except ValueError as error:
            raise InputError(f"RankEvaluation: {error}") from None
        self.metrics = list(metrics)

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics in the order in which they are shown."""
        return [prefix + name for prefix in RANKING_PREFIXES for name in self.metrics]

    def names_by_system(self, datamodule: RationaleDataModule) -> dict[str, list[str]]:
        return dict.fromkeys(self.rankings, self.metric_names)

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
