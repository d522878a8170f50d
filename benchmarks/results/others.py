"""The same recipe on other datasets, and transfer to those without rationales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results.compared import Found, compare, gain, row_of
from benchmarks.results.fits import base, fit, transfer, tried
from benchmarks.results.settings import MODULES, OTHER_TRIALS, SEEDS, TRANSFER

OTHER_MEASURES = ("nDCG@5", "gold_nDCG@5", "answer_in_context@1", "em@1", "f1@1")


def heads(*first: str) -> list[str]:
    """Of the tables here."""
    names = [*first, "questions", *OTHER_MEASURES]
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def moves(name: str, found: Found, group: str = "tuned") -> str:
    """A row of "before → gain"; "-" where there is no such measure."""
    row = row_of(found, group, "tuned")
    cells = []
    for measure in OTHER_MEASURES:
        before = found["means"].get(measure, {}).get(found["baseline"])
        cells.append(f"{100 * before['mean']:.1f} → {gain(found, measure, row)}" if before else "-")
    return f"| {name} | {found['questions']} | " + " | ".join(cells) + " |"


def over_base(name: str, folders: Sequence[Path], split: str) -> Found:
    """The trained rerankers of some runs beside their own base."""
    _, found = compare(
        name,
        {"tuned": folders},
        split,
        baseline="base",
        systems=["tuned"],
        measures=OTHER_MEASURES,
    )
    return found


def others(reranker: str) -> list[str]:
    """The recipe, untouched, on the other datasets, and transfer."""
    seeds = ", ".join(map(str, SEEDS))
    lines = [
        f"### The same recipe on other datasets, and transfer: test questions, seeds {seeds}",
        "",
        *heads("dataset", "trained on"),
    ]
    for dataset in MODULES:
        if dataset != "nq":
            folders = [fit(dataset, reranker, "radio", seed, "test") for seed in SEEDS]
            found = over_base(f"others-{dataset}", folders, "test")
            lines.append(moves(f"{dataset} | {dataset}", found))
    trained = [fit("nq", reranker, "radio", seed, "test") for seed in SEEDS]
    for dataset in TRANSFER:
        folders = [
            transfer(
                dataset, reranker, folder.name, ["--model.init_args.model", str(folder / "export")]
            )
            for folder in trained
        ]
        untrained = transfer(dataset, reranker, "base", base(reranker))
        _, found = compare(
            f"transfer-{dataset}",
            {"tuned": folders, "base": [untrained]},
            "test",
            baseline="base:tuned",
            systems=["tuned:tuned"],
            measures=OTHER_MEASURES,
        )
        lines.append(moves(f"{dataset} | nq", found))
    return lines


def other_trials() -> list[str]:
    """What the gate does on the other datasets' validation questions."""
    lines = heads("dataset", "recipe")
    for dataset, changes in OTHER_TRIALS.items():
        for number, (name, more) in enumerate(changes.items()):
            folders = [tried(dataset, seed, name, more) for seed in SEEDS]
            found = over_base(f"gate-{dataset}-{number}", folders, "validation")
            lines.append(moves(f"{dataset} | {name}", found))
    return lines
