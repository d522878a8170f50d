"""What was tried on the way to the best recipe, on the dev questions."""

from __future__ import annotations

import shlex

import numpy as np

from benchmarks.figures import METRICS, paired, values
from benchmarks.recipes import configs
from benchmarks.results.fits import common, run, tried
from benchmarks.results.settings import MODULES, SEEDS, TRIALS, WORK
from benchmarks.runs import interval


def trials() -> list[str]:
    """What each change of the best recipe does, one seed each, on the dev questions."""
    metrics = ["nDCG@5", "answer_in_context@1", "em@1", "f1@1"]
    lines = ["| dev, minus base | " + " | ".join(METRICS[m] for m in metrics) + " | arguments |"]
    lines.append("|---" * (len(metrics) + 2) + "|")
    for name, more in TRIALS.items():
        folder = tried("nq", SEEDS[0], name, more)
        # each its own: the reranker's arguments may change the base too
        tuned, before = (values([folder], system, "validation") for system in ("tuned", "base"))
        cells = []
        for metric in metrics:
            pairs = paired(tuned, before, metric)
            cells.append(interval(pairs[:, 0] - pairs[:, 1], "+"))
        shown = shlex.join(more).replace("--data.init_args.", "").replace("--model.init_args.", "")
        lines.append(f"| {name} | " + " | ".join([*cells, f"`{shown}`" if more else ""]) + " |")
    return lines


def fit_check() -> list[str]:
    """How well the questions that were trained on are answered, beside those that were not."""
    metric = {"nDCG@5": "nDCG@5", "P@1": "answer in top 1"}
    lines = [
        "| | "
        + " | ".join(f"{where}: {m}" for where in ("train", "dev") for m in metric.values())
        + " |"
    ]
    lines.append("|---" * (2 * len(metric) + 1) + "|")
    best, longer = (
        tried("nq", SEEDS[0], name, TRIALS[name]) for name in ("the best recipe", "3 epochs")
    )
    for name, trained in {
        "base": None,
        "best recipe, one epoch": best,
        "three epochs": longer,
    }.items():
        folder = WORK / f"fitcheck-{trained.name if trained else 'base'}"
        arguments = [
            *configs("base", "no_reader", "bi_encoder"),
            *(
                *common(folder.name),
                "--data",
                MODULES["nq"],
                "--data.init_args.teacher",
                "RetrievalScore",
            ),
            *("--data.init_args.splits", '{validation: "train[0:1000]"}'),
            *(["--model.init_args.model", str(trained / "export")] if trained else []),
        ]
        run("validate", folder, "validation", arguments)
        system = "tuned" if trained else "base"
        seen = (
            values([folder], "tuned", "validation", metric),
            values([trained or best], system, "validation", metric),
        )
        cells = [interval(np.array(list(found[m].values()))) for found in seen for m in metric]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines
