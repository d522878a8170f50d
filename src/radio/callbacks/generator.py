"""The generator in the loop: what it makes of the top passages of each ranking."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import lightning as L

from radio.callbacks.evaluation import Evaluation, examples_of
from radio.data.module import datamodule_of
from radio.evaluation.measure import ANSWER_METRICS, read
from radio.evaluation.results import Results
from radio.generators import Generator, Prompt, SpanReader, ask
from radio.processes import stopping_together
from radio.ranges import check
from radio.schema import InputError, Run


class GeneratorInTheLoop(Evaluation):
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
        names = []
        for suffix in self._suffixes.values():
            names += [self._prefix + metric + suffix for metric in ANSWER_METRICS]
        return names

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

    def evaluate(
        self, trainer: L.Trainer, split: str, rankings: Mapping[str, Run], results: Results
    ) -> list[str]:
        if trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every_n_epochs:
            return []
        readings = read(
            rankings,
            examples_of(trainer, split),
            datamodule_of(trainer).corpus,
            self._suffixes,
            partial(self._answers, trainer),
        )
        for reading in readings:
            question = reading.prompt.question
            suffix = self._suffixes[reading.top_k]
            numbers = {
                self._prefix + metric + suffix: value for metric, value in reading.numbers.items()
            }
            results.add(
                split,
                reading.ranking,
                question.id,
                numbers,
                question=question.question,
                golden_answers=list(question.golden_answers),
                **{f"{self._prefix}answer{suffix}": reading.answer},
            )
        known = results.notes[split].get("generators", [])
        results.note(split, generators=[*known, self._identity()])
        return self.metric_names

    def _answers(self, trainer: L.Trainer, prompts: list[Prompt]) -> list[str]:
        """One process asks, so that nothing is paid for twice; the others wait for its answers."""
        answers: list[str] = []
        with stopping_together(trainer.strategy.root_device):
            if trainer.is_global_zero:
                answers = ask(self.generator, prompts, datamodule_of(trainer).cache)
        return trainer.strategy.broadcast(answers)

    def _identity(self) -> dict[str, Any]:
        """Which generator made the answers, for ``metrics.json``."""
        public = {}
        for key, value in vars(self.generator).items():
            if not key.startswith("_"):
                public[key] = value
        return {
            "name": self.name,
            "class": type(self.generator).__name__,
            "settings": json.loads(json.dumps(public, default=str)),
            "fingerprint": self.generator.fingerprint(),
            "top_k": self.top_k,
        }
