"""The headline table: Natural Questions, all systems."""

from __future__ import annotations

import numpy as np

from benchmarks.figures import (
    METRICS,
    Values,
    averaged,
    differences,
    paired,
    relative,
    table,
    values,
)
from benchmarks.results.fits import fit
from benchmarks.results.orders import helped, teacher_order, weight_of_reader
from benchmarks.results.settings import (
    BASE,
    PLAIN,
    READER,
    RETRIEVER,
    SEEDS,
    TEACHER,
    seeds_of,
    systems,
)


def headline(reranker: str, split: str) -> list[str]:
    """Natural Questions, all systems."""
    trained, seeds = systems(reranker), seeds_of(reranker, split)
    folders = {}
    for system in trained:
        folders[system] = [fit("nq", reranker, system, seed, split) for seed in seeds]
    first = folders["radio"][:1]
    measured = {RETRIEVER: values(first, "retriever", split)}
    if reranker in ("multi_vector", "both_sides"):
        plain = [fit("nq", "bi_encoder", "radio", SEEDS[0], split)]
        measured[PLAIN] = values(plain, "base", split)
    measured[BASE] = values(first, "base", split)
    for system, name in trained.items():
        measured[name] = values(folders[system], "tuned", split)
    measured[TEACHER] = teacher_order("nq", split)

    count = len(measured[BASE]["em@1"])
    title = f"### Natural Questions, {reranker.replace('_', '-')}: {count} {split} questions"
    lines = [f"{title}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}", ""]
    lines += [*table(measured), ""]
    lines += [*differences([BASE, *trained.values()], BASE, measured), ""]
    ours = trained["radio"]
    rivals = [system for system in trained if system.startswith("answer_match")]
    for rival in rivals:
        lines += [*differences([ours], trained[rival], measured), ""]
    lines += [*way(ours, measured), ""]

    weight = weight_of_reader(first[0])
    origins = {BASE: (first, "base"), ours: (folders["radio"], "tuned")}
    for rival in rivals:
        origins[trained[rival]] = (folders[rival], "tuned")
    added = []
    for name, (runs, ranking) in origins.items():
        with_reader = [helped(run, ranking, split, weight) for run in runs]
        measured[name + READER] = averaged(with_reader)
        added.append(name + READER)
    lines += [f"With the reader's confidence added, {weight:g} for each unit of its logits:", ""]
    lines += [*table({name: measured[name] for name in added}), ""]
    lines += [*differences(added, BASE, measured), ""]
    lines += [*differences(added, BASE + READER, measured), ""]
    for rival in rivals:
        lines += [*differences([ours + READER], trained[rival] + READER, measured), ""]
    return [*lines, *way(ours + READER, measured)]


def way(name: str, measured: dict[str, Values]) -> list[str]:
    """How far a system is from where it came, and how near to its teacher."""
    bases = [base for base in (BASE, PLAIN) if base in measured]
    heads = [f"to the {RETRIEVER}"]
    for base in bases:
        heads += [f"to the {base}", "share of the way"]
    lines = [f"| {name} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for metric in ("answer_in_context@1", "em@1", "f1@1", "em@5", "f1@5", "gold_P@1"):
        means = {}
        for system, of_metrics in measured.items():
            means[system] = np.mean(list(of_metrics[metric].values()))
        cells = [relative(paired(measured[name], measured[RETRIEVER], metric))]
        for base in bases:
            whole = means[TEACHER] - means[base]
            share = f"{100 * (means[name] - means[base]) / whole:.0f} %" if whole > 0 else "-"
            cells += [relative(paired(measured[name], measured[base], metric)), share]
        lines.append(f"| {METRICS[metric]} | " + " | ".join(cells) + " |")
    return lines
