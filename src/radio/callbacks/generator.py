"""The generator in the loop: what it makes of the top passages of each ranking."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_warn

from radio.callbacks.evaluation import Evaluation, examples_of, place_of
from radio.data.attached import datamodule_of
from radio.data.module import RationaleDataModule
from radio.evaluation import asked
from radio.evaluation.answers import (
    ANSWER_METRICS,
    OVERALL_METRICS,
    answer_numbers,
    breakdown,
    overall,
    without_passages,
)
from radio.evaluation.constant import constants
from radio.evaluation.measure import Numbers
from radio.evaluation.reading import NOTHING, Reading, Readings, compared_with_memory, read, sample
from radio.evaluation.results import Results
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators import Answer, Generator, Prompt, SpanReader, ask
from radio.generators.tasks import Parser, answer_in, parser_of, task_of
from radio.llm.base import Failure
from radio.processes import stopping_together
from radio.ranges import check
from radio.schema import InputError, Run
from radio.secrecy import plain

AGAINST_MEMORY = ("made_wrong", "made_right")


RIGHT = ("em", "accuracy", "answer_in_output")
"""Metrics that are 1 where an answer is right."""


def _check_metrics(names: Sequence[str] | None, closed_book: bool) -> None:
    if names is None:
        return
    unknown = [name for name in names if name not in ANSWER_METRICS]
    if unknown or not names:
        raise InputError(
            f"GeneratorInTheLoop: metrics: found {unknown[0] if unknown else []!r}, expected some "
            f"of {', '.join(ANSWER_METRICS)}"
        )
    # with the closed book answers are compared: then a share, such as f1, will not do
    if names[0] in OVERALL_METRICS or (closed_book and names[0] not in RIGHT):
        raise InputError(
            f"GeneratorInTheLoop: metrics: found {names[0]!r} first, expected a metric that says "
            "of each answer whether it is right, such as accuracy or em"
        )


class GeneratorInTheLoop(Evaluation):
    """Asks a generator with the top passages of each ranking: whether it answers rightly, and
    whether an answer was there to be read.

    Answers are kept in the data module's cache, by generator, question and passages: none is asked
    for twice. What was not answered is left out of all rankings of that question, told, and asked
    for again by the next run.

    Args:
        generator: None is :class:`radio.generators.SpanReader`.
        top_k: passages that it reads (published: 5). A list asks once for each number, and the
            metrics then say which: ``em@1``, ``em@5``.
        every_n_epochs: during training it asks in each n-th epoch alone; ``radio validate`` and
            ``radio test`` always ask.
        name: stands before the metrics of this generator, ``NAME_em``; a second generator needs
            one.
        max_questions: of the validation during training; always the same ones. ``radio validate``
            and ``radio test``, and the evaluation at the end of ``radio fit``, ask about all.
        closed_book: ask without any passage too, as the system ``closed_book``, and say of each
            ranking which share of the questions its passages made wrong (``made_wrong``) that the
            generator knows by itself, and which they made right (``made_right``).
        rankings: names of what it reads: ``retriever``, ``base`` and ``tuned`` (None takes these
            three), ``teacher``, ``annotated`` (annotated passages first), ``random``.
        parser: how an answer is found in a reply, instead of as the data module's task does it: the
            name of a task, or the path of a function of reply and question, ``module.function``.
        metrics: names of what is measured, instead of the task's; a right answer is one for which
            the first is 1.
    """

    def __init__(
        self,
        generator: Generator | None = None,
        top_k: int | list[int] = 5,
        every_n_epochs: int = 1,
        name: str | None = None,
        max_questions: int | None = None,
        closed_book: bool = False,
        rankings: list[str] | None = None,
        parser: str | None = None,
        metrics: list[str] | None = None,
    ) -> None:
        check(self, locals())
        super().__init__(rankings)
        # the name of a metric does not change because another number is asked for too
        self._suffixes = {k: f"@{k}" for k in top_k} if isinstance(top_k, list) else {top_k: ""}
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
            raise InputError(
                f"GeneratorInTheLoop: name: found {name!r}, expected letters, digits, '.' and '-'"
            )
        if not self._suffixes:
            raise InputError("GeneratorInTheLoop: top_k: found [], expected at least one number")
        _check_metrics(metrics, closed_book)
        self.generator = generator or SpanReader()
        if closed_book and self.generator.copies_spans:
            raise InputError(
                f"GeneratorInTheLoop: closed_book: found true with "
                f"{type(self.generator).__name__}, which copies a span of the passages and knows "
                "nothing without any; expected a language model, or closed_book: false"
            )
        self.top_k = top_k
        self.every_n_epochs = every_n_epochs
        self.name = name
        self.max_questions = max_questions
        self.closed_book = closed_book
        self.parser = parser
        self.metrics = metrics
        self._parse: Parser | None = None if parser is None else parser_of(parser)
        self._prefix = "" if name is None else f"{name}_"

    def measured(self, datamodule: RationaleDataModule) -> tuple[str, ...]:
        """Names of the answer metrics, without what stands before and after them; the first one
        says what is right."""
        return tuple(self.metrics or task_of(datamodule.task).metrics)

    def names_by_system(self, datamodule: RationaleDataModule) -> dict[str, list[str]]:
        measured = [name for name in self.measured(datamodule) if name not in OVERALL_METRICS]
        of_a_ranking: list[str] = []
        for suffix in self._suffixes.values():
            further = AGAINST_MEMORY if self.closed_book else ()
            of_a_ranking += [self._prefix + name + suffix for name in (*measured, *further)]
        names = dict.fromkeys(self.rankings, of_a_ranking)
        if self.closed_book:
            names[CLOSED_BOOK] = [self._prefix + name for name in without_passages(measured)]
        return names

    def logged_names(self, split: str, datamodule: RationaleDataModule) -> set[str]:
        found = super().logged_names(split, datamodule)
        systems = [
            (system, suffix) for system in self.rankings for suffix in self._suffixes.values()
        ]
        if self.closed_book:
            systems.append((CLOSED_BOOK, ""))
        for name in set(self.measured(datamodule)) & set(OVERALL_METRICS):
            found |= {f"{place_of(split, s)}/{self._prefix}{name}{suffix}" for s, suffix in systems}
        return found

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        datamodule = datamodule_of(trainer)
        mine = self.logged_names(stage, datamodule)
        for other in trainer.callbacks:  # type: ignore[attr-defined]
            if other is self or not isinstance(other, GeneratorInTheLoop):
                continue
            # one reader at several depths is fine: the metrics say which
            if other.name == self.name and (
                other.generator.fingerprint() != self.generator.fingerprint()
            ):
                named = "without a name" if self.name is None else f"of the name {self.name!r}"
                raise InputError(
                    f"GeneratorInTheLoop: found two {named}, whose answers nobody could tell "
                    "apart; give each its own name (init_args.name)"
                )
            shared = sorted(mine & other.logged_names(stage, datamodule))
            if shared:
                metric = shared[0].split("/")[-1]
                raise InputError(
                    f"GeneratorInTheLoop: found two with the metric {metric!r}, of which one "
                    "would overwrite the other; give each its own name (init_args.name)"
                )

    def evaluate(
        self, trainer: L.Trainer, split: str, rankings: Mapping[str, Run], results: Results
    ) -> list[str]:
        if trainer.state.fn == "fit":
            if (trainer.current_epoch + 1) % self.every_n_epochs:
                return []
            rankings = self._sampled(rankings)
        datamodule = datamodule_of(trainer)
        readings = read(
            rankings,
            examples_of(trainer, split),
            datamodule.corpus,
            self._suffixes,
            task=datamodule.task,
            closed_book=self.closed_book,
            ask=partial(self._answers, trainer),
            judge=partial(self.judge, datamodule),
        )
        with stopping_together(trainer.strategy.root_device):
            self._check_any(split, readings)
        names: dict[str, None] = {}
        right = self.measured(datamodule)[0]
        against = compared_with_memory(readings.read, right)
        for reading, compared in zip(readings.read, against, strict=True):
            names |= dict.fromkeys(self._add(results, split, reading, compared))
        self._note_groups(results, split, readings.read, self.measured(datamodule))
        self._tell(split, readings)
        self._tell_of_constants(split, readings.read, right)
        task = datamodule.task
        prompt = {"task": task, "prompt": self.generator.prompt_of(task)}
        notes = {**self.identity(), **prompt, **asked.tally(readings)}
        known = results.notes[split].get("generators", [])
        results.note(split, generators=[*known, notes])
        return list(names)

    def _sampled(self, rankings: Mapping[str, Run]) -> dict[str, Run]:
        """The rankings of the questions that are asked about during training."""
        everything = dict.fromkeys(question for run in rankings.values() for question in run)
        taken = sample(list(everything), self.max_questions)
        sampled = {}
        for name, run in rankings.items():
            sampled[name] = {question: run[question] for question in run if question in taken}
        return sampled

    def judge(
        self, datamodule: RationaleDataModule, prompt: Prompt, answer: Answer
    ) -> tuple[str | None, Numbers]:
        """The answer in a reply (None where there is none to be read), and the numbers of it."""
        parse = self._parse or task_of(datamodule.task).parse
        parsed: str | None = ""
        if answer is not NOTHING:
            parsed = answer_in(self.generator, parse, answer.text, prompt.question)
        names: Sequence[str] = self.measured(datamodule)
        # of a ranking without a passage nobody is asked
        if not prompt.passages and answer is not NOTHING:
            names = without_passages(names)
        return parsed, answer_numbers(prompt, parsed, answer.text, names)

    def _add(self, results: Results, split: str, reading: Reading, compared: Numbers) -> list[str]:
        """Add what is known of a reading to the results; returns the names of its metrics."""
        # without any passage there is no number of them
        suffix = self._suffixes.get(reading.depth, "")
        numbers = {}
        for metric, value in (reading.numbers | compared).items():
            numbers[self._prefix + metric + suffix] = value
        facts = {
            "answer": reading.parsed,
            "reply": reading.answer.text,
            "asked": asked.of_answer(reading.answer),
        }
        results.add(
            split,
            reading.system,
            reading.prompt.question.id,
            numbers,
            **{f"{self._prefix}{fact}{suffix}": value for fact, value in facts.items()},
        )
        return list(numbers)

    def _note_groups(
        self, results: Results, split: str, readings: Sequence[Reading], metrics: Sequence[str]
    ) -> None:
        """Note what belongs to all questions of a system together, and to groups of them."""
        parts: dict[tuple[str, int], list[Reading]] = {}
        for reading in readings:
            parts.setdefault((reading.system, reading.depth), []).append(reading)
        for (system, depth), part in parts.items():
            suffix = self._suffixes.get(depth, "")
            for key, numbers in (
                ("overall", overall(part, metrics)),
                ("breakdown", breakdown(part, metrics)),
            ):
                named = {self._prefix + name + suffix: found for name, found in numbers.items()}
                results.note_of_system(split, key, system, named)

    def _check_any(self, split: str, readings: Readings) -> None:
        """Refuse an evaluation without a single answer: there is a reason that all have in
        common."""
        if readings.failed and not readings.read:
            error = next(iter(readings.failed.values()))
            raise InputError(
                f"{split}: {self.name or type(self.generator).__name__} gave no answer about any "
                f"of {len(readings.failed)} questions: {error}"
            )

    def _tell(self, split: str, readings: Readings) -> None:
        """Say which questions have no answer."""
        if not readings.failed:
            return
        first, error = next(iter(readings.failed.items()))
        count = len({r.prompt.question.id for r in readings.read}) + len(readings.failed)
        rank_zero_warn(
            f"{split}: {self.name or type(self.generator).__name__} gave no answer about "
            f"{len(readings.failed)} of {count} questions, which are left out of all its figures "
            f"({first}: {error}); the next run asks again"
        )

    def _tell_of_constants(self, split: str, readings: Sequence[Reading], right: str) -> None:
        """Say where the generator answers the same whatever it reads."""
        found = constants(readings, right)
        if found:
            rank_zero_warn(
                f"{split}: {self.name or type(self.generator).__name__} always answers the same, "
                "so that no ranking can make a difference there: it said "
                f"{'; '.join(map(str, found))}; try another prompt or generator"
            )

    def _answers(self, trainer: L.Trainer, prompts: list[Prompt]) -> list[Answer | Failure]:
        """One process asks, so that nothing is paid for twice; the others wait for its answers."""
        answers: list[Answer | Failure] = []
        with stopping_together(trainer.strategy.root_device, slow=True):
            if trainer.is_global_zero:
                datamodule = datamodule_of(trainer)
                with datamodule.at_work():
                    answers = ask(self.generator, prompts, datamodule.cache)
        return trainer.strategy.broadcast(answers)

    def further(self, results: Results, split: str) -> dict[str, float]:
        """What belongs to all questions together, and what it cost."""
        found = {}
        mine = {self._prefix + name + end for name in OVERALL_METRICS for end in self._ends()}
        for system, numbers in results.notes[split].get("overall", {}).items():
            for name in mine & numbers.keys():
                found[f"{place_of(split, system)}/{name}"] = numbers[name]
        place = "/".join(filter(None, ["generator", self.name, split]))
        for note in results.notes[split].get("generators", ()):
            if note["name"] == self.name:
                costs = note["total"].items()
                found |= {f"{place}/{key}": float(v) for key, v in costs if v is not None}
        return found

    def _ends(self) -> set[str]:
        """What stands behind the names of metrics."""
        return {"", *self._suffixes.values()}

    def identity(self) -> dict[str, Any]:
        """Which generator made the answers, for ``metrics.json``."""
        public = {}
        for key, value in vars(self.generator).items():
            if not key.startswith("_"):
                public[key] = value
        return {
            "name": self.name,
            "class": type(self.generator).__name__,
            "settings": plain(json.loads(json.dumps(public, default=str))),
            "fingerprint": self.generator.fingerprint(),
            "top_k": self.top_k,
        }
