"""From per-question numbers to means, intervals, paired differences, and files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from radio.evaluation.files import VERSION, described, read_metrics, read_predictions
from radio.evaluation.statistics import all_paired_differences, bootstrap_intervals
from radio.evaluation.systems import in_order
from radio.lines import atomic_write, write_jsonl
from radio.schema import Question

COMPARED = (
    ("tuned", "base"),
    ("tuned", "retriever"),
    ("fused", "tuned"),
    ("fused", "retriever"),
)
"""Of which systems ``metrics.json`` holds the differences."""

NOTES = (
    "counts",
    "of_questions",
    "left_out",
    "precision",
    "tied_tops",
    "unranked",
    "fused",
    "generators",
    "overall",
    "breakdown",
)
"""Keys of ``metrics.json`` that say something of an evaluation as a whole, for each split:

- ``counts``: questions that have a metric, for each metric;
- ``of_questions``: how many the dataset has, with those that a limit or a filter left out;
- ``left_out``: how many of them the data module left out, by reason;
- ``precision``: in which scores were computed;
- ``tied_tops``: questions whose highest score belongs to several passages, for each system;
- ``unranked``: questions that a system has no ranking of, for each system that lacks some;
- ``fused``: how the rankings of reranker and retriever were merged, and with which weights;
- ``generators``: name, class, settings and fingerprint of each, and what it was asked and replied
  (:mod:`radio.evaluation.asked`);
- ``overall``: by system, numbers of all questions together that are no means over them;
- ``breakdown``: by system and metric, mean and number of the questions of each group.
"""


class Results:
    """Per-question numbers of one run, by split, system and question id, with the facts that belong
    to a prediction."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, dict[str, dict[str, float]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self.facts: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
        self.questions: dict[str, dict[str, Question]] = defaultdict(dict)
        self.lessons: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.notes: dict[str, dict[str, Any]] = defaultdict(dict)
        """What belongs to an evaluation as a whole, by split and name."""
        self._unwritten = False

    def start(self, split: str) -> None:
        """Forget what is known of a split: a new evaluation of it begins."""
        for table in (self.metrics, self.facts, self.questions, self.lessons, self.notes):
            table.pop(split, None)

    def describe(self, split: str, questions: Iterable[Question]) -> None:
        """Say what is asked; ``predictions.jsonl`` tells it of those questions that have
        numbers."""
        self.questions[split].update({question.id: question for question in questions})

    def describe_lessons(
        self,
        split: str,
        scores: Mapping[str, Mapping[str, float]],
        rationales: Mapping[str, str],
    ) -> None:
        """Say what is taught of questions: by id, the teacher's scores of passages, and the
        rationale that they are of."""
        for question_id, of_passages in scores.items():
            self.lessons[split][question_id] = {"teacher_scores": dict(of_passages)}
            if question_id in rationales:
                self.lessons[split][question_id]["rationale"] = rationales[question_id]

    def note(self, split: str, **values: Any) -> None:
        """Note what belongs to an evaluation as a whole, by one of the keys in :data:`NOTES`."""
        self.notes[split].update(values)

    def note_of_system(self, split: str, key: str, system: str, values: Mapping[str, Any]) -> None:
        """Add to a note that has a part for each system, such as ``overall``."""
        self.notes[split].setdefault(key, {}).setdefault(system, {}).update(values)

    def add(
        self, split: str, system: str, question_id: str, metrics: dict[str, float], **facts: Any
    ) -> None:
        """Add numbers of one question; facts (answer, passage ids) go to ``predictions.jsonl``
        only."""
        self._unwritten = True
        self.metrics[split][system].setdefault(question_id, {}).update(metrics)
        self.facts[split][question_id].setdefault(system, {}).update(facts)

    def values(self, split: str, system: str, metric: str) -> dict[str, float]:
        """One metric of one system by question id, for those questions that have it."""
        values = {}
        for question_id, numbers in self.metrics[split][system].items():
            if metric in numbers:
                values[question_id] = numbers[metric]
        return values

    def names(self, split: str) -> list[str]:
        """Metrics of a split in the order in which they were added."""
        names: dict[str, None] = {}
        for questions in self.metrics[split].values():
            for numbers in questions.values():
                names |= dict.fromkeys(numbers)
        return list(names)

    def means(self, split: str) -> dict[str, dict[str, float]]:
        """Mean over the questions: ``means[system][metric]``."""
        means: dict[str, dict[str, float]] = {}
        names = self.names(split)
        for system in in_order(self.metrics[split]):
            means[system] = {}
            for name in names:
                values = self.values(split, system, name)
                if values:
                    means[system][name] = sum(values.values()) / len(values)
        return means

    def intervals(self, split: str) -> dict[str, dict[str, list[float]]]:
        """95 % bootstrap interval of each mean."""
        means = self.means(split)
        places = [(system, name) for system in means for name in means[system]]
        samples = [list(self.values(split, *place).values()) for place in places]
        intervals: dict[str, dict[str, list[float]]] = {system: {} for system in means}
        for (system, name), interval in zip(places, bootstrap_intervals(samples), strict=True):
            intervals[system][name] = list(interval)
        return intervals

    def difference(
        self, split: str, a: str, b: str, names: Sequence[str] | None = None
    ) -> dict[str, dict[str, float]]:
        """Paired difference a - b over the questions that both have: mean, 95 % interval, number of
        questions."""
        names = self.names(split) if names is None else names
        pairs = [(self.values(split, a, name), self.values(split, b, name)) for name in names]
        differences = {}
        for name, paired in zip(names, all_paired_differences(pairs), strict=True):
            if paired:
                differences[name] = paired._asdict()
        return differences

    def write(self, folder: str | Path) -> None:
        """Write ``metrics.json`` and ``predictions.jsonl``; splits of an earlier command in the
        folder are kept."""
        if not self._unwritten:
            return
        self._unwritten = False
        folder = Path(folder)
        splits = [split for split, systems in self.metrics.items() if any(systems.values())]
        self._write_metrics(folder / "metrics.json", splits)
        self._write_predictions(folder / "predictions.jsonl", splits)

    def _write_metrics(self, path: Path, splits: Sequence[str]) -> None:
        document = {**read_metrics(path), "version": VERSION}
        for split in splits:
            document[split] = self.means(split)
            document.setdefault("intervals", {})[split] = self.intervals(split)
            most = max(len(questions) for questions in self.metrics[split].values())
            document.setdefault("questions", {})[split] = most
            counts = {name: self._count(split, name) for name in self.names(split)}
            notes = {"counts": counts, **self.notes[split]}
            for key in NOTES:
                # what is not known this time is not left from another evaluation
                document.setdefault(key, {}).pop(split, None)
                if key in notes:
                    document[key][split] = notes[key]
            differences = {}
            for a, b in COMPARED:
                if a in self.metrics[split] and b in self.metrics[split]:
                    differences[f"{a} - {b}"] = self.difference(split, a, b)
            document.setdefault("differences", {})[split] = differences
        with atomic_write(path) as file:
            json.dump(document, file, indent=2)
            file.write("\n")

    def _count(self, split: str, metric: str) -> int:
        """Questions that have a metric: of the tuned reranker, or else of the system with most."""
        systems = self.metrics[split]
        counts = {system: len(self.values(split, system, metric)) for system in systems}
        return counts.get("tuned") or max(counts.values())

    def _write_predictions(self, path: Path, splits: Sequence[str]) -> None:
        predictions = [line for line in read_predictions(path) if line["split"] not in splits]
        for split in splits:
            for question_id, systems in self.facts[split].items():
                prediction: dict[str, Any] = {"split": split, "question_id": question_id}
                if question_id in self.questions[split]:
                    prediction |= described(self.questions[split][question_id])
                prediction |= self.lessons[split].get(question_id, {})
                for system in in_order(systems):
                    numbers = self.metrics[split][system][question_id]
                    prediction[system] = {**systems[system], **numbers}
                predictions.append(prediction)
        write_jsonl(path, predictions)


def gain_over_base(
    results: Results, split: str, monitored: str | None = None
) -> dict[str, Any] | None:
    """Paired difference tuned - base of one metric, by which a run is judged.

    Args:
        results: of the run.
        split: which questions.
        monitored: what checkpoints are chosen by, ``<split>/<metric>``; where it is no metric of
            single questions, or not given, nDCG@5 is taken, else the reciprocal rank.

    Returns:
        ``metric``, ``difference``, ``low``, ``high``, ``questions``; None if there is nothing to
        compare.
    """
    wanted = [(monitored or "").removeprefix(f"{split}/"), "nDCG@5", "RR@10", "RR"]
    for name, difference in results.difference(split, "tuned", "base", wanted).items():
        return {"metric": name, **difference}
    return None
