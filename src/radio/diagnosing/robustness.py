"""Whether the gain of a run survives: other orders of the passages, fewer or more of them, and
passages that do not belong there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

from radio.callbacks import GeneratorInTheLoop
from radio.corpus import passages_of
from radio.diagnosing.contamination import Evidence, Unavailable, missing_passages
from radio.diagnosing.gains import changes, measured
from radio.diagnosing.subject import Subject, there
from radio.diagnosing.variants import BEST_FIRST, ORDERS, Distractors, ordered
from radio.evaluation.asked import tally
from radio.evaluation.reading import Reading, Readings, read
from radio.evaluation.systems import as_scores
from radio.generators import ask
from radio.generators.base import name_of
from radio.metrics.ranking import annotated_metrics
from radio.schema import Example, InputError
from radio.text import findable, has_answer

ORDER, DEPTH, DISTRACTORS = "order", "depth", "distractors"

SHOWN = ("em", "f1", "accuracy")
"""Measures of an answer that are kept, beside the first one."""

Columns = dict[str, dict[str, float]]
"""System -> question id -> value."""


class Place(NamedTuple):
    """What a generator reads: the passages of a system, in a variant."""

    system: str
    variant: str

    @property
    def name(self) -> str:
        return f"{self.system}\n{self.variant}"


@dataclass
class Robustness:
    """Reads the passages of a run again, otherwise.

    Args:
        subject: the run.
        asked: ids of the questions.
        seed: of shuffles and distractors.
        evidence: what is found is added.
    """

    subject: Subject
    asked: Sequence[str]
    seed: int
    evidence: Evidence

    @cached_property
    def orders(self) -> dict[str, dict[str, list[str]]]:
        """By system and question, those of whose passages all texts are there.

        Raises:
            Unavailable: the results have no orders, or the corpus none of their passages.
        """
        whole = self.subject.orders
        if not set(self.subject.pair) <= whole.keys():
            raise Unavailable("the results have no orders of passages (RankEvaluation notes them)")
        candidates = self.subject.candidates()
        wanted = list(dict.fromkeys(p for name in self.asked for p in candidates[name]))
        lacking = set(wanted) - there(self.subject.datamodule.corpus, wanted)
        if lacking:
            remark = missing_passages(len(lacking), len(wanted))
            if remark not in self.subject.remarks:
                self.subject.remarks.append(remark)
        kept = [name for name in self.asked if not lacking & set(candidates[name])]
        if not kept:
            raise Unavailable("the corpus of the config lacks passages of every question")
        return {
            system: {name: of_system[name] for name in kept if name in of_system}
            for system, of_system in whole.items()
        }

    # Tests of a generator

    def order(self, callback: GeneratorInTheLoop, top_k: int | None) -> None:
        """The run's passages best first, best last and shuffled."""
        depth = top_k or deepest(callback)
        rankings: dict[Place, dict[str, list[str]]] = {}
        for system, of_system in self.orders.items():
            for variant in ORDERS:
                rankings[Place(system, variant)] = {
                    name: ordered(name, passages[:depth], variant, self.seed)
                    for name, passages in of_system.items()
                }
        self._note(ORDER, callback, self._read(callback, rankings), ORDERS, depth=depth)

    def depth(self, callback: GeneratorInTheLoop, depths: Sequence[int]) -> None:
        """The first k passages of each order, for several k."""
        rankings: dict[Place, dict[str, list[str]]] = {}
        for system, of_system in self.orders.items():
            for k in depths:
                rankings[Place(system, str(k))] = {
                    name: passages[:k] for name, passages in of_system.items()
                }
        variants = [str(k) for k in depths]
        self._note(
            DEPTH,
            callback,
            self._read(callback, rankings),
            variants,
            reference=_as_in_the_run([callback], depths),
        )

    def distractors(
        self, callback: GeneratorInTheLoop, top_k: int | None, counts: Sequence[int]
    ) -> None:
        """The run's passages with passages of other questions in between.

        Raises:
            Unavailable: no question has so many.
        """
        depth, most = top_k or deepest(callback), max(counts)
        drawn = Distractors(self.subject.candidates(), self._may_distract, self.seed)
        found = {name: drawn.of(name, most) for name in self._names}
        enough = [name for name, passages in found.items() if len(passages) == most]
        if not enough:
            raise Unavailable(f"no question has {most} distractors among the others' passages")
        rankings: dict[Place, dict[str, list[str]]] = {}
        for system, of_system in self.orders.items():
            for count in counts:
                rankings[Place(system, str(count))] = {
                    name: drawn.mixed(name, of_system[name][:depth], found[name][:count])
                    for name in enough
                    if name in of_system
                }
        for name in enough:
            self.evidence.add(name, distractors=found[name])
        self._note(
            DISTRACTORS,
            callback,
            self._read(callback, rankings),
            [str(count) for count in counts],
            depth=depth,
            without=len(found) - len(enough),
        )

    @property
    def _names(self) -> list[str]:
        """Questions that any system has ranked."""
        return list(dict.fromkeys(name for of_system in self.orders.values() for name in of_system))

    def _may_distract(self, question: str, passage: str) -> bool:
        asked, corpus = self.subject.questions[question], self.subject.datamodule.corpus
        if passage in asked.gold or passage not in corpus:
            return False
        return not has_answer(corpus[passage].contents, asked.golden_answers)

    def _read(
        self, callback: GeneratorInTheLoop, rankings: Mapping[Place, Mapping[str, Sequence[str]]]
    ) -> Readings:
        data = self.subject.datamodule
        runs = {}
        for place, orders in rankings.items():
            runs[place.name] = {name: as_scores(passages) for name, passages in orders.items()}
        longest = max(len(order) for orders in rankings.values() for order in orders.values())
        readings = read(
            runs,
            {name: Example(self.subject.questions[name], ()) for name in self._names},
            data.corpus,
            # all passages of an order
            [longest],
            task=data.task,
            closed_book=False,
            ask=lambda prompts: ask(callback.generator, prompts, data.cache),
            judge=partial(callback.judge, data),
        )
        if readings.failed and not readings.read:
            error = next(iter(readings.failed.values()))
            raise InputError(f"{name_of(callback.generator)} gave no answer at all: {error}")
        return readings

    def _note(
        self,
        test: str,
        callback: GeneratorInTheLoop,
        readings: Readings,
        variants: Sequence[str],
        *,
        reference: str | None = None,
        **facts: Any,
    ) -> None:
        """Add the numbers of a test to the document, and those of each question to its row."""
        measures = _kept(callback.measured(self.subject.datamodule))
        values: dict[str, dict[str, Columns]] = {}
        for reading in readings.read:
            system, _, variant = reading.system.partition("\n")
            name = reading.prompt.question.id
            for measure in measures:
                if measure in reading.numbers:
                    of_variant = values.setdefault(measure, {}).setdefault(variant, {})
                    of_variant.setdefault(system, {})[name] = reading.numbers[measure]
        if measures[0] not in values:
            raise Unavailable(f"no question gives grounds for {measures[0]}")
        first = reference or variants[0]
        note = {
            "generator": callback.name,
            "model": name_of(callback.generator),
            "metric": measures[0],
            "reference": first,
            **facts,
            "measures": {
                measure: rows_of(variants, of_measure, self.subject.pair, first)
                for measure, of_measure in values.items()
            },
            "failed": len(readings.failed),
            "costs": tally(readings)["total"],
            **self._repeated(test, callback, readings, facts.get("depth")),
        }
        self.evidence.document.setdefault(test, []).append(note)
        self._tell(test, callback, values[measures[0]])

    def _tell(self, test: str, callback: GeneratorInTheLoop, values: Mapping[str, Columns]) -> None:
        for variant, columns in values.items():
            for system, column in columns.items():
                for name, value in column.items():
                    row = self.evidence.rows.setdefault(name, {})
                    of_test = row.setdefault("answers", {}).setdefault(test, {})
                    of_generator = of_test.setdefault(callback.name or "", {})
                    of_generator.setdefault(variant, {})[system] = value

    def _repeated(
        self, test: str, callback: GeneratorInTheLoop, readings: Readings, depth: int | None
    ) -> dict[str, Any]:
        """How many answers from the run's own passages are those of its results."""
        same = other = 0
        for reading in readings.read:
            then = self._answered(test, callback, reading, depth)
            if then is not MISSING:
                same += then == reading.parsed
                other += then != reading.parsed
        return {"repeated": {"same": same, "other": other}}

    def _answered(
        self, test: str, callback: GeneratorInTheLoop, reading: Reading, depth: int | None
    ) -> Any:
        """The answer that the results have to what was read; :data:`MISSING` where it was not."""
        system, _, variant = reading.system.partition("\n")
        if test == DEPTH:
            depth = int(variant)
        elif variant not in (BEST_FIRST, "0"):
            return MISSING
        given = callback.top_k
        if depth not in (given if isinstance(given, list) else [given]):
            return MISSING
        ending = f"@{depth}" if isinstance(given, list) else ""
        prefix = f"{callback.name}_" if callback.name else ""
        part = self.subject.rows[reading.prompt.question.id].get(system) or {}
        return part.get(f"{prefix}answer{ending}", MISSING)

    # A test without any

    def retrieval(self, depths: Sequence[int]) -> None:
        """Whether the first k passages hold an answer, and which share of the annotated ones.

        Raises:
            Unavailable: no question has an answer that a passage can hold, nor annotated passages.
        """
        values: dict[str, dict[str, Columns]] = {}
        for name in self._names:
            for system, of_system in self.orders.items():
                for measure, number in self._found(name, of_system.get(name), depths):
                    kind, _, k = measure.partition("@")
                    of_variant = values.setdefault(kind, {}).setdefault(k, {})
                    of_variant.setdefault(system, {})[name] = number
        if not values:
            raise Unavailable(
                "no question has an answer that a passage can hold, or annotated passages"
            )
        variants = [str(k) for k in depths]
        reference = _as_in_the_run(self.subject.callbacks, depths)
        note = {
            "generator": None,
            "model": None,
            "metric": next(iter(values)),
            "reference": reference,
            "measures": {
                measure: rows_of(variants, of_measure, self.subject.pair, reference)
                for measure, of_measure in values.items()
            },
        }
        self.evidence.document.setdefault("retrieval", []).append(note)

    def _found(
        self, name: str, order: Sequence[str] | None, depths: Sequence[int]
    ) -> list[tuple[str, float]]:
        question = self.subject.questions[name]
        found: list[tuple[str, float]] = []
        if order is None:
            return found
        if findable(question.golden_answers):
            texts = passages_of(self.subject.datamodule.corpus, order[: max(depths)])
            first = next(
                (
                    place
                    for place, passage in enumerate(order[: max(depths)])
                    if has_answer(texts[passage].contents, question.golden_answers)
                ),
                None,
            )
            found += [
                (f"answer_in_context@{k}", float(first is not None and first < k)) for k in depths
            ]
        if question.gold:
            numbers = annotated_metrics(order, question.gold, [f"R@{k}" for k in depths])
            found += list(numbers.items())
        return found


MISSING = object()
"""In the place of an answer that the results do not have."""


def rows_of(
    variants: Sequence[str],
    values: Mapping[str, Columns],
    pair: tuple[str, str],
    reference: str,
) -> list[dict[str, Any]]:
    """Means and gain of each variant, and how far the gain is another one than the reference's."""
    tables = [values.get(variant, {}) for variant in variants]
    moved = changes(tables, values.get(reference, {}), pair)
    rows = []
    for variant, numbers, change in zip(variants, measured(tables, pair), moved, strict=True):
        told = None if variant == reference else change
        rows.append({"variant": variant, **numbers, "change": told})
    return rows


def deepest(callback: GeneratorInTheLoop) -> int:
    """How many passages the run's generator reads, at most."""
    return max(callback.top_k) if isinstance(callback.top_k, list) else callback.top_k


def _as_in_the_run(callbacks: Sequence[GeneratorInTheLoop], depths: Sequence[int]) -> str:
    """Which of some depths is that of the run's first generator, else the first one."""
    for callback in callbacks[:1]:
        if deepest(callback) in depths:
            return str(deepest(callback))
    return str(depths[0])


def _kept(measures: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([measures[0], *(name for name in measures if name in SHOWN)]))
