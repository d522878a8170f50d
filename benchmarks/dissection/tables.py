"""What the runs say, as tables of docs/teachers-figures.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.dissection.runs import misled, place, student
from benchmarks.dissection.settings import (
    ASKS,
    EXTRACTIVE,
    LOSSES,
    PUBLISHED,
    QWEN,
    SEEDS,
    SHARES,
    TEACHERS,
    TRAIN_CANDIDATES,
    WEIGHTINGS,
)
from benchmarks.figures import Values, p_value, paired, values
from benchmarks.runs import interval
from radio.lines import read_rows

REFERENCE = PUBLISHED
"""What all others are compared with."""

WITHOUT = "q_a"
"""The published text without the rationale."""

ORDERS = ("nDCG@5", "P@1", "gold_nDCG@5", "gold_P@1")
"""Of a ranking: by the answers in the passages, and by the annotated passages."""

READ = ("em@1", "f1@1")

Rows = dict[str, Values]
"""By teacher, then metric, then question."""


def of_teachers(count: int) -> Rows:
    """What the report measured of each teacher's own order."""
    found: Rows = {}
    for _, row in read_rows(place(count) / "report" / "teachers.jsonl"):
        if not row["compared"]:
            continue
        for name, numbers in row["teachers"].items():
            # the report needs one in its configuration: it is the published text once more
            if name == "configured":
                continue
            for metric, value in numbers.items():
                # the order and its scores are lists
                if isinstance(value, float):
                    found.setdefault(name, {}).setdefault(metric, {})[row["id"]] = value
    return found


def of_students(count: int, names: Iterable[str]) -> Rows:
    """What was measured of the rerankers on the dev questions, the mean of the seeds, beside the
    base."""
    metrics = [*ORDERS]
    for judge in (EXTRACTIVE, QWEN):
        metrics += [f"{judge}_{metric}" for metric in READ]
    found: Rows = {}
    for name in names:
        folders = [student(count, name, seed) for seed in SEEDS]
        found.setdefault("base", values(folders[:1], "base", "validation", metrics))
        found[name] = values(folders, "tuned", "validation", metrics)
    return found


def conflicting(count: int, split: str) -> set[str]:
    """Questions of which a candidate holds the answer and is not annotated, and another is: where
    the string and the support disagree."""
    data = place(count) / "data"
    annotated = {
        row["id"]: set(row["metadata"].get("gold_ids") or ())
        for _, row in read_rows(data / f"dataset/nq/{split}.jsonl")
    }
    found = set()
    for _, row in read_rows(data / f"candidates/nq/{split}.jsonl.gz"):
        gold = annotated.get(row["id"], set())
        candidates = row["candidates"][:TRAIN_CANDIDATES] if split == "train" else row["candidates"]
        others = [c for c in candidates if c["has_answer"] and c["id"] not in gold]
        if others and any(c["id"] in gold for c in candidates):
            found.add(row["id"])
    return found


def only(rows: Rows, questions: set[str]) -> Rows:
    """The same of some questions."""
    kept: Rows = {}
    for name, by_metric in rows.items():
        kept[name] = {}
        for metric, numbers in by_metric.items():
            kept[name][metric] = {q: value for q, value in numbers.items() if q in questions}
    return kept


def table(rows: Rows, metrics: Sequence[str], reference: str = REFERENCE) -> list[str]:
    """Means with intervals; behind each the difference to the reference, with its p-value by Holm
    for all differences of a metric."""
    verdicts = {metric: compared(rows, metric, reference) for metric in metrics}
    lines = ["| teacher | asks | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 2) + "|"]
    for name, found in rows.items():
        cells = []
        for metric in metrics:
            if metric not in found:
                cells.append("-")
                continue
            mean = interval(np.array(list(found[metric].values())))
            judge, _, _ = metric.partition("_")
            own = " (asked itself)" if ASKS.get(name) == judge else ""
            cells.append(f"{mean}{own}{verdicts[metric].get(name, '')}")
        lines.append(f"| {name} | {ASKS.get(name, '-')} | " + " | ".join(cells) + " |")
    return lines


def compared(rows: Rows, metric: str, reference: str) -> dict[str, str]:
    """Difference to the reference and p-value of each other teacher."""
    from radio.evaluation.statistics import holm

    shown, p_values = {}, []
    for name, found in rows.items():
        if name == reference or metric not in found or metric not in rows[reference]:
            continue
        both = paired(found, rows[reference], metric)
        difference = both[:, 0] - both[:, 1]
        shown[name] = f"; {100 * difference.mean():+.1f}"
        p_values.append(p_value(both))
    for name, p in zip(shown, holm(p_values), strict=True):
        shown[name] += f" ({_verdict(p)})"
    return shown


def added(rows: Rows, conflict: Rows, metrics: Sequence[str]) -> list[str]:
    """What the rationale adds to question and answers: the one comparison that was planned, so that
    its p-values are as they are."""
    lines = [f"| {REFERENCE} minus {WITHOUT} | all | where string and support disagree |"]
    lines.append("|---" * 3 + "|")
    for metric in metrics:
        cells = []
        for found in (rows, conflict):
            both = paired(found[REFERENCE], found[WITHOUT], metric)
            difference = interval(both[:, 0] - both[:, 1], "+")
            cells.append(f"{difference}, p = {p_value(both):.3f}")
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    return lines


def _verdict(p: float) -> str:
    if p >= 0.05:
        return "n. s."
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def order_tables(count: int, title: str) -> list[str]:
    """How the teachers order the candidates of the training questions that a report compared."""
    rows = of_teachers(count)
    questions = len(rows[REFERENCE]["nDCG@5"])
    heading = f"### {title}: {questions} training questions"
    return [heading, "", *_tables(rows, conflicting(count, "train"))]


def student_tables(count: int, teachers: Iterable[str] = TEACHERS) -> list[str]:
    """What the rerankers have learnt from each teacher."""
    rows = of_students(count, teachers)
    questions = len(rows[REFERENCE]["nDCG@5"])
    seeds = ", ".join(map(str, SEEDS))
    heading = f"### Students of {count:,} training questions: {questions} dev questions"
    return [f"{heading}, seeds {seeds}", "", *_tables(rows, conflicting(count, "dev"))]


def _tables(rows: Rows, disagreeing: set[str]) -> list[str]:
    """All teachers, what the rationale adds, and the teachers where string and support disagree; by
    what was measured."""
    conflict = only(rows, disagreeing)
    judged = [f"{judge}_{metric}" for judge in (EXTRACTIVE, QWEN) for metric in READ]
    metrics = [metric for metric in (*ORDERS, *judged) if metric in rows[REFERENCE]]
    # by the answers all passages with the string are right: there is nothing to disagree about
    of_support = [metric for metric in metrics if metric not in ("nDCG@5", "P@1")]
    return [
        *table(rows, metrics),
        "",
        "What the rationale adds to question and answers:",
        "",
        *added(rows, conflict, metrics),
        "",
        f"Where string and support disagree, {len(conflict[REFERENCE]['gold_P@1'])} questions:",
        "",
        *table(conflict, of_support),
    ]


def swapped_table(count: int) -> list[str]:
    """What losses and weightings lose where rationales are swapped."""
    heads = [f"{share} %" for share in SHARES]
    lines = [
        "### Swapped rationales: nDCG@5 on dev, and what is lost",
        "",
        "| loss | weighting | " + " | ".join(heads) + " |",
        "|---" * (len(SHARES) + 2) + "|",
    ]
    for loss in LOSSES:
        for weighting in WEIGHTINGS:
            found = {share: _misled(count, loss, weighting, share) for share in SHARES}
            cells = [interval(np.array(list(found[0]["nDCG@5"].values())))]
            for share in SHARES[1:]:
                both = paired(found[share], found[0], "nDCG@5")
                cells.append(interval(both[:, 0] - both[:, 1], "+"))
            lines.append(f"| {loss} | {weighting} | " + " | ".join(cells) + " |")
    return lines


def _misled(count: int, loss: str, weighting: str, share: int) -> Values:
    folders: list[Path] = [misled(count, loss, weighting, share, seed) for seed in SEEDS]
    return values(folders, "tuned", "validation", ["nDCG@5"])
