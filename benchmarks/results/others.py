"""The same recipe on other datasets, and transfer to those without rationales."""

from __future__ import annotations

from benchmarks.figures import METRICS, Values, paired, values
from benchmarks.results.fits import base, fit, transfer, tried
from benchmarks.results.settings import MODULES, OTHER_TRIALS, SEEDS, TRANSFER
from benchmarks.runs import interval

OTHER_METRICS = ["nDCG@5", "gold_nDCG@5", "answer_in_context@1", "em@1", "f1@1"]


def moves(name: str, tuned: Values, before: Values) -> str:
    """A row of "before → gain"; "-" where there is no such metric."""
    cells = []
    for metric in OTHER_METRICS:
        if metric not in tuned:
            cells.append("-")
            continue
        pairs = paired(tuned, before, metric)
        cells.append(f"{100 * pairs[:, 1].mean():.1f} → {interval(pairs[:, 0] - pairs[:, 1], '+')}")
    count = max(len(found) for found in tuned.values())
    return f"| {name} | {count} | " + " | ".join(cells) + " |"


def others(reranker: str) -> list[str]:
    """The recipe, untouched, on the other datasets, and transfer."""
    seeds = ", ".join(map(str, SEEDS))
    lines = [
        f"### The same recipe on other datasets, and transfer: test questions, seeds {seeds}",
        "",
    ]
    lines += [
        "| dataset | trained on | questions | "
        + " | ".join(METRICS[m] for m in OTHER_METRICS)
        + " |"
    ]
    lines.append("|---" * (len(OTHER_METRICS) + 3) + "|")
    for dataset in MODULES:
        if dataset != "nq":
            folders = [fit(dataset, reranker, "radio", seed, "test") for seed in SEEDS]
            tuned, before = values(folders, "tuned", "test"), values(folders[:1], "base", "test")
            lines.append(moves(f"{dataset} | {dataset}", tuned, before))
    trained = [fit("nq", reranker, "radio", seed, "test") for seed in SEEDS]
    for dataset in TRANSFER:
        folders = [
            transfer(
                dataset, reranker, folder.name, ["--model.init_args.model", str(folder / "export")]
            )
            for folder in trained
        ]
        before = values([transfer(dataset, reranker, "base", base(reranker))], "tuned", "test")
        lines.append(moves(f"{dataset} | nq", values(folders, "tuned", "test"), before))
    return lines


def other_trials() -> list[str]:
    """What the gate does on the other datasets' validation questions."""
    lines = [
        "| dataset | recipe | questions | " + " | ".join(METRICS[m] for m in OTHER_METRICS) + " |"
    ]
    lines.append("|---" * (len(OTHER_METRICS) + 3) + "|")
    for dataset, changes in OTHER_TRIALS.items():
        for name, more in changes.items():
            folders = [tried(dataset, seed, name, more) for seed in SEEDS]
            tuned, before = (values(folders, system, "validation") for system in ("tuned", "base"))
            lines.append(moves(f"{dataset} | {name}", tuned, before))
    return lines
