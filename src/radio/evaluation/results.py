"""From per-question numbers to means, intervals, paired differences, files and the table on the
terminal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radio.evaluation.files import read_metrics, read_predictions
from radio.evaluation.statistics import bootstrap_interval
from radio.lines import atomic_write, write_jsonl

SYSTEMS = ("retriever", "base", "tuned")
"""The retriever's order, the reranker's before training, the reranker's now."""

NOTES = ("counts", "of_questions", "left_out", "precision", "tied_tops", "generators")
"""Keys of ``metrics.json`` that say something of an evaluation as a whole, for each split:

- ``counts``: questions that have a metric, for each metric;
- ``of_questions``: how many the dataset has, with those that a limit or a filter left out;
- ``left_out``: how many of them the data module left out, by reason;
- ``precision``: in which scores were computed;
- ``tied_tops``: questions whose highest score belongs to several passages, for each system;
- ``generators``: name, class, settings and fingerprint of each.
"""


class Results:
    """Per-question numbers of one run, by split, system and question id, with the facts that belong
    to a prediction."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, dict[str, dict[str, float]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self.facts: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
        self.notes: dict[str, dict[str, Any]] = defaultdict(dict)
        """What belongs to an evaluation as a whole, by split and name."""
        self._unwritten = False

    def start(self, split: str) -> None:
        """Forget what is known of a split: a new evaluation of it begins."""
        for table in (self.metrics, self.facts, self.notes):
            table.pop(split, None)

    def note(self, split: str, **values: Any) -> None:
        """Note what belongs to an evaluation as a whole, by one of the keys in :data:`NOTES`."""
        self.notes[split].update(values)

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
        rows = self.metrics[split][system]
        return {question: row[metric] for question, row in rows.items() if metric in row}

    def names(self, split: str) -> list[str]:
        """Metrics of a split in the order in which they were added."""
        rows = (row for system in self.metrics[split].values() for row in system.values())
        return list(dict.fromkeys(name for row in rows for name in row))

    def means(self, split: str) -> dict[str, dict[str, float]]:
        """Mean over the questions: ``means[system][metric]``."""
        result: dict[str, dict[str, float]] = {}
        for system in self.metrics[split]:
            per_name = {
                name: list(self.values(split, system, name).values()) for name in self.names(split)
            }
            result[system] = {name: sum(v) / len(v) for name, v in per_name.items() if v}
        return result

    def intervals(self, split: str) -> dict[str, dict[str, list[float]]]:
        """95 % bootstrap interval of each mean."""
        return {
            system: {
                name: list(bootstrap_interval(list(self.values(split, system, name).values())))
                for name in means
            }
            for system, means in self.means(split).items()
        }

    def difference(
        self, split: str, a: str, b: str, names: Sequence[str] | None = None
    ) -> dict[str, dict[str, float]]:
        """Paired difference a - b over the questions that both have: mean, 95 % interval, number of
        questions."""
        result = {}
        for name in self.names(split) if names is None else names:
            first, second = self.values(split, a, name), self.values(split, b, name)
            paired = [
                first[question] - second[question] for question in first if question in second
            ]
            if paired:
                low, high = bootstrap_interval(paired)
                mean = sum(paired) / len(paired)
                result[name] = {
                    "difference": mean,
                    "low": low,
                    "high": high,
                    "questions": float(len(paired)),
                }
        return result

    def write(self, folder: str | Path) -> None:
        """Write ``metrics.json`` and ``predictions.jsonl``; splits of an earlier command in the
        folder are kept."""
        if not self._unwritten:
            return
        self._unwritten = False
        folder = Path(folder)
        path = folder / "metrics.json"
        document = read_metrics(path)
        evaluated = [split for split, systems in self.metrics.items() if any(systems.values())]
        for split in evaluated:
            document[split] = self.means(split)
            document.setdefault("intervals", {})[split] = self.intervals(split)
            document.setdefault("questions", {})[split] = max(
                len(v) for v in self.metrics[split].values()
            )
            counts = {name: len(self.values(split, "tuned", name)) for name in self.names(split)}
            notes = {"counts": counts, **self.notes[split]}
            for key in NOTES:
                # what is not known this time is not left from another evaluation
                document.setdefault(key, {}).pop(split, None)
                if key in notes:
                    document[key][split] = notes[key]
            pairs = [("tuned", "base"), ("tuned", "retriever")]
            document.setdefault("differences", {})[split] = {
                f"{a} - {b}": self.difference(split, a, b)
                for a, b in pairs
                if a in self.metrics[split] and b in self.metrics[split]
            }
        with atomic_write(path) as file:
            json.dump(document, file, indent=2)
            file.write("\n")
        predictions = folder / "predictions.jsonl"
        kept = [row for row in read_predictions(predictions) if row["split"] not in evaluated]
        for split in evaluated:
            for question, systems in self.facts[split].items():
                row: dict[str, Any] = {"split": split, "question_id": question}
                for system, facts in systems.items():
                    row[system] = {**facts, **self.metrics[split][system][question]}
                kept.append(row)
        write_jsonl(predictions, kept)


def gain_over_base(
    results: Results, split: str, monitored: str | None = None
) -> dict[str, Any] | None:
    """Paired difference tuned - base of one metric, by which a run is judged.

    Args:
        results: of the run.
        split: which questions.
        monitored: what checkpoints are chosen by, ``<split>/<metric>``; where it is no metric of
            single questions, or not given, nDCG@5 is taken, else the MRR.

    Returns:
        ``metric``, ``difference``, ``low``, ``high``, ``questions``; None if there is nothing to
        compare.
    """
    wanted = [(monitored or "").removeprefix(f"{split}/"), "ndcg@5", "mrr"]
    for name, found in results.difference(split, "tuned", "base", wanted).items():
        return {"metric": name, **found}
    return None


def no_better(gain: Mapping[str, Any] | None) -> str | None:
    """What to say of a tuned reranker that validation does not show to be better than the untrained
    one."""
    if gain is None or gain["low"] > 0:
        return None
    low, high, questions = 100 * gain["low"], 100 * gain["high"], int(gain["questions"])
    found = (
        f"{gain['metric']} {100 * gain['difference']:+.1f} [{low:+.1f}, {high:+.1f}] points, tuned "
        f"- base, on {questions} validation questions"
    )
    if gain["difference"] <= 0:
        return f"the tuned reranker is no better than the base ({found})."
    return f"the tuned reranker is not shown to be better than the base ({found}; the interval includes 0)."


def show_table(document: dict[str, Any], split: str, *, title: str = "") -> None:
    """Print a split of ``metrics.json`` as a table, in percent, with 95 % intervals."""
    from rich.console import Console
    from rich.table import Table

    means, intervals = document[split], document["intervals"][split]
    differences = document["differences"][split].get("tuned - base", {})
    systems = [s for s in SYSTEMS if s in means]
    questions = document["questions"][split]
    counts = document.get("counts", {}).get(split, {})
    ties = document.get("tied_tops", {}).get(split, {})
    for system in systems:
        if ties.get(system) == questions:
            print(
                f"WARNING: {system}: {questions} of {questions} questions have a tied top: its "
                "order below is by passage id and says nothing"
            )
    table = Table(title=title or _title(document, split))
    table.add_column("metric", no_wrap=True)
    for system in systems:
        table.add_column(system, justify="right", no_wrap=True)
    if differences:
        table.add_column("tuned - base", justify="right", no_wrap=True)
    for name in means[systems[-1]]:
        cells = []
        for system in systems:
            low, high = intervals[system].get(name, (float("nan"),) * 2)
            value = means[system].get(name)
            cells.append(
                "-" if value is None else f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
            )
        if differences:
            d = differences.get(name)
            cells.append(
                f"{100 * d['difference']:+.1f} [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}]"
                if d
                else "-"
            )
        count = counts.get(name, questions)
        table.add_row(name if count == questions else f"{name} ({count} questions)", *cells)
    console = Console()
    # a pipe or a log has no width; cells that are cut off would be of no use
    Console(width=max(console.width, 124)).print(table)
    tied = [f"{system} {ties[system]}" for system in systems if ties.get(system)]
    if tied:
        print(
            f"tied at the top, and ordered by passage id there: {', '.join(tied)} of {questions} "
            "questions"
        )


def _title(document: dict[str, Any], split: str) -> str:
    questions = document["questions"][split]
    total = document.get("of_questions", {}).get(split, questions)
    of_all = "" if total == questions else f" of {total}"
    left_out = document.get("left_out", {}).get(split, {})
    reasons = (
        f" ({', '.join(f'{count} {reason}' for reason, count in left_out.items())})"
        if left_out
        else ""
    )
    precision = document.get("precision", {}).get(split, "32-true")
    computed = "" if precision == "32-true" else f", computed in {precision}"
    return (
        f"{split}: {questions}{of_all} questions{reasons}, in % [95 % bootstrap interval]{computed}"
    )
