"""Ranking metrics and the generator in the loop, for the retriever, the base and the tuned reranker
alike."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from radio.formats import write_run
from radio.generators import Generator, Prompt, SpanReader, ask
from radio.metrics.answers import exact_match, f1
from radio.metrics.ranking import annotated_metrics, ranking_metrics, relevance_of
from radio.processes import stopping_together
from radio.ranges import check
from radio.rerankers import Reranker
from radio.schema import Example, InputError, Run, ranked
from radio.text import findable, has_answer


def orders(trainer: L.Trainer, module: Reranker, split: str) -> dict[str, Run]:
    """The rankings of the questions just evaluated, complete on every process: retriever, base and
    tuned reranker.

    All processes must call it. The base is there if ``module.ranks_untrained`` was set before the
    evaluation began, as the callbacks here do in ``setup``.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    tuned, base = module.rankings(split)
    # in the order of the data set, whatever the processes and the limits on batches were
    examples = [e for e in data.examples[split] if e.question.id in tuned]
    rankings = {
        "retriever": {
            e.question.id: {c.passage_id: c.score for c in e.candidates} for e in examples
        },
        "base": {e.question.id: base[e.question.id] for e in examples if e.question.id in base},
        "tuned": {e.question.id: tuned[e.question.id] for e in examples},
    }
    return {system: run for system, run in rankings.items() if len(run) == len(examples)}


def tied_tops(run: Run) -> int:
    """Questions whose highest score belongs to two passages or more: their first place says
    nothing."""
    count = 0
    for scores in run.values():
        values = sorted(scores.values(), reverse=True)
        count += len(values) > 1 and values[0] == values[1]
    return count


class _Evaluation(L.Callback):
    """Runs :meth:`evaluate` after each validation and test; its numbers go to the logger and the
    run folder."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(pl_module, Reranker):
            pl_module.ranks_untrained = True

    def evaluate(
        self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]
    ) -> list[str]:
        """Add per-question numbers to ``module.results`` and return the names of the metrics."""
        raise NotImplementedError

    def _run(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        if trainer.sanity_checking:
            return
        if not isinstance(module, Reranker):
            raise InputError(
                f"{type(self).__name__} needs a radio Reranker, found {type(module).__name__}"
            )
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        names = self.evaluate(
            trainer, module, split, {e.question.id: e for e in data.examples[split]}
        )
        if names:
            module.results.note(
                split,
                of_questions=max(data.split_size(split), len(data.examples[split])),
                left_out=dict(data.counts(split).left_out),
                precision=module.numerics,
                tied_tops={
                    name: tied_tops(run) for name, run in orders(trainer, module, split).items()
                },
            )
        for system, means in module.results.means(split).items():
            # every process has the same numbers, because each has evaluated all questions
            prefix = split if system == "tuned" else f"{split}/{system}"
            module.log_dict({f"{prefix}/{name}": means[name] for name in names if name in means})
        for name, paired in module.results.difference(split, "tuned", "base", names).items():
            prefix = f"{split}/tuned-base/{name}"
            module.log_dict(
                {
                    prefix: paired["difference"],
                    f"{prefix}/low": paired["low"],
                    f"{prefix}/high": paired["high"],
                }
            )

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._run(trainer, pl_module, "test")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (
            trainer.is_global_zero
            and not trainer.sanity_checking
            and isinstance(pl_module, Reranker)
        ):
            pl_module.results.write(Path(trainer.default_root_dir))

    on_test_end = on_validation_end


class RankEvaluation(_Evaluation):
    """Ranking metrics before and after, and the rankings as TREC runs ``<split>.<system>.trec``.

    Each metric is computed

    - against the answer-bearing passages (``ndcg@5``), for questions whose answers a passage can
      contain, as a name and unlike a verdict;
    - against the annotated passages (``gold_ndcg@5``; recall counts those that no retriever found
      too), for questions that have some;
    - against the teacher's scores (``teacher_ndcg@5``; linear gain; for ``teacher_mrr`` and the
      like the teacher's best passage alone is relevant), for questions that the teacher has scored.

    Args:
        metrics: ``mrr``, ``ndcg@k``, ``recall@k``, ``precision@k`` for any k.
    """

    def __init__(
        self, metrics: Sequence[str] = ("mrr", "ndcg@5", "recall@5", "precision@1")
    ) -> None:
        try:
            ranking_metrics([], metrics)
        except ValueError as error:
            raise InputError(f"RankEvaluation: {error}") from None
        self.metrics = list(metrics)

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics in the order in which they are shown."""
        return [prefix + name for prefix in ("", "gold_", "teacher_") for name in self.metrics]

    def evaluate(
        self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]
    ) -> list[str]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rankings = orders(trainer, module, split)
        for system, run in rankings.items():
            for question, scores in run.items():
                example = examples[question]
                order = [c.passage_id for c in ranked(scores)]
                answers = example.question.golden_answers
                values = {}
                if findable(answers):
                    gains = {p: float(has_answer(data.corpus[p].contents, answers)) for p in order}
                    values = ranking_metrics(relevance_of(order, gains), self.metrics)
                if gold := example.question.gold:
                    values |= annotated_metrics(order, gold, self.metrics)
                if example.teacher:
                    values |= self._against_teacher(order, dict(example.teacher))
                module.results.add(
                    split,
                    system,
                    question,
                    values,
                    passage_ids=order,
                    scores=[scores[p] for p in order],
                )
            if trainer.is_global_zero:
                write_run(Path(trainer.default_root_dir) / f"{split}.{system}.trec", run, system)
        return self.metric_names

    def _against_teacher(self, order: list[str], teacher: dict[str, float]) -> dict[str, float]:
        best = max(teacher.values())
        top = {p: float(score == best) for p, score in teacher.items()}
        values = {}
        for name in self.metrics:
            gains = teacher if name.startswith("ndcg") else top
            values[f"teacher_{name}"] = ranking_metrics(relevance_of(order, gains), [name])[name]
        return values


class GeneratorInTheLoop(_Evaluation):
    """Asks a generator with the top passages of each ranking: EM, F1, and whether an answer was
    there to be read.

    Answers are kept in the data module's cache, by generator, question and passages: none is asked
    for twice.

    Args:
        generator: None is :class:`radio.generators.SpanReader`.
        top_k: passages that it reads (published: 5). A list asks once for each number, and the
            metrics then say which: ``em@1``, ``em@5``.
        every_n_epochs: validations during training that are skipped in between; tests are never
            skipped.
        name: stands before the metrics of this generator, ``NAME_em``; a second generator needs
            one.
    """

    def __init__(
        self,
        generator: Generator | None = None,
        top_k: int | list[int] = 5,
        every_n_epochs: int = 1,
        name: str | None = None,
    ) -> None:
        check(self, locals())
        # the name of a metric does not change because another number is asked for too
        self._suffixes = {k: f"@{k}" for k in top_k} if isinstance(top_k, list) else {top_k: ""}
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            raise InputError(
                f"GeneratorInTheLoop: name: found {name!r}, expected letters, digits, '.' and '-'"
            )
        if not self._suffixes:
            raise InputError("GeneratorInTheLoop: top_k: found [], expected at least one number")
        self.generator = generator or SpanReader()
        self.top_k = top_k
        self.every_n_epochs = every_n_epochs
        self.name = name
        self._prefix = "" if name is None else f"{name}_"

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics in the order in which they are shown."""
        kinds = ("em", "f1", "answer_in_context")
        return [
            self._prefix + kind + suffix for suffix in self._suffixes.values() for kind in kinds
        ]

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if other is self or not isinstance(other, GeneratorInTheLoop):
                continue
            shared = sorted(set(self.metric_names) & set(other.metric_names))
            if shared:
                raise InputError(
                    f"GeneratorInTheLoop: found two with the metric {shared[0]!r}, of which one "
                    "would overwrite the other; give each its own name (init_args.name)"
                )

    def _identity(self) -> dict[str, Any]:
        """Which generator made the answers, for ``metrics.json``."""
        public = {
            key: value for key, value in vars(self.generator).items() if not key.startswith("_")
        }
        return {
            "name": self.name,
            "class": type(self.generator).__name__,
            "settings": json.loads(json.dumps(public, default=str)),
            "fingerprint": self.generator.fingerprint(),
            "top_k": self.top_k,
        }

    def evaluate(
        self, trainer: L.Trainer, module: Reranker, split: str, examples: dict[str, Example]
    ) -> list[str]:
        if trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every_n_epochs:
            return []
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        prompts: dict[tuple[str, str, str], Prompt] = {}
        for system, run in orders(trainer, module, split).items():
            for question, scores in run.items():
                order = ranked(scores)
                for k, suffix in self._suffixes.items():
                    passages = tuple(data.corpus[c.passage_id] for c in order[:k])
                    prompts[system, question, suffix] = Prompt(
                        examples[question].question, passages
                    )
        # one process asks, so that nothing is paid for twice; the others wait for its answers
        asked = [prompt for prompt in prompts.values() if prompt.passages]
        answers: list[str] = []
        with stopping_together(module.device):
            if trainer.is_global_zero:
                answers = ask(self.generator, asked, data.cache)
        given = iter(trainer.strategy.broadcast(answers))
        for (system, question, suffix), prompt in prompts.items():
            # what a generator knows without a passage is none of the retriever's or reranker's
            # doing
            answer = next(given) if prompt.passages else ""
            golden = prompt.question.golden_answers
            values = {"em": exact_match(answer, golden), "f1": f1(answer, golden)} if golden else {}
            if findable(golden):
                values["answer_in_context"] = float(
                    any(has_answer(p.contents, golden) for p in prompt.passages)
                )
            module.results.add(
                split,
                system,
                question,
                {self._prefix + kind + suffix: value for kind, value in values.items()},
                question=prompt.question.question,
                golden_answers=list(golden),
                **{f"{self._prefix}answer{suffix}": answer},
            )
        known = module.results.notes[split].get("generators", [])
        module.results.note(split, generators=[*known, self._identity()])
        return self.metric_names
