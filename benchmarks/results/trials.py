"""What was tried on the way to the best recipe, on the dev questions."""

from __future__ import annotations

import shlex

from benchmarks.recipes import configs
from benchmarks.results.compared import compare, gain, mean, row_of
from benchmarks.results.fits import common, run, tried
from benchmarks.results.settings import MODULES, SEEDS, TRIALS, WORK


def trials() -> list[str]:
    """What each change of the best recipe does, one seed each, on the dev questions."""
    measures = ["nDCG@5", "answer_in_context@1", "em@1", "f1@1"]
    lines = ["| dev, minus base | " + " | ".join(measures) + " | arguments |"]
    lines.append("|---" * (len(measures) + 2) + "|")
    for number, (name, more) in enumerate(TRIALS.items()):
        folder = tried("nq", SEEDS[0], name, more)
        # each its own: the reranker's arguments may change the base too
        _, found = compare(
            f"trial-{number}",
            {"trial": [folder]},
            "validation",
            baseline="base",
            systems=["tuned"],
            measures=measures,
        )
        cells = [gain(found, measure, "tuned") for measure in measures]
        shown = shlex.join(more).replace("--data.init_args.", "").replace("--model.init_args.", "")
        lines.append(f"| {name} | " + " | ".join([*cells, f"`{shown}`" if more else ""]) + " |")
    return lines


def fit_check() -> list[str]:
    """How well the questions that were trained on are answered, beside those that were not."""
    measures = ["nDCG@5", "P@1"]
    heads = [f"{where}: {measure}" for where in ("train", "dev") for measure in measures]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
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
        cells = []
        for place, row in ((folder, "tuned"), (trained or best, system)):
            _, found = compare(
                f"fitcheck-{place.name}-{row}",
                {"fit": [place]},
                "validation",
                baseline="retriever",
                systems=[row],
                measures=measures,
            )
            cells += [mean(found, measure, row_of(found, "fit", row)) for measure in measures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines
