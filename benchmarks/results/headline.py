"""The headline table: Natural Questions, all systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.results.compared import NONE, Found, compare, gain, row_of, tables_alone
from benchmarks.results.fits import fit
from benchmarks.results.orders import helped, teacher_order, weight_of_reader
from benchmarks.results.settings import PLAIN, READER, SEEDS, TEACHER, seeds_of, systems

WAY = ("answer_in_context@1", "em@1", "f1@1", "em@5", "f1@5", "gold_P@1")


def headline(reranker: str, split: str) -> list[str]:
    """Natural Questions, all systems."""
    trained, seeds = systems(reranker), seeds_of(reranker, split)
    groups: dict[str, list[Path]] = {}
    for system in trained:
        groups[system] = [fit("nq", reranker, system, seed, split) for seed in seeds]
    first = groups["radio"][0]
    bases = ["radio:base"]
    if reranker in ("multi_vector", "both_sides"):
        groups[PLAIN] = [fit("nq", "bi_encoder", "radio", SEEDS[0], split)]
        bases.append(f"{PLAIN}:base")
    groups[TEACHER] = [teacher_order("nq", split)]

    weight = weight_of_reader(first)
    for system in trained:
        if system != "published":
            folders = groups[system]
            groups[system + READER] = [helped(run, "tuned", split, weight) for run in folders]
    groups["base" + READER] = [helped(first, "base", split, weight)]

    shown = [f"{system}:tuned" for system in (*trained, *(s + READER for s in trained))]
    shown = [name for name in shown if name.rpartition(":")[0] in groups]
    every = ["radio:retriever", *bases[1:], *shown, f"base{READER}:base", f"{TEACHER}:teacher"]
    name = f"{split}-{reranker}"
    lines, found = compare(name, groups, split, baseline=bases[0], systems=every)
    title = f"### Natural Questions, {reranker.replace('_', '-')}: {found['questions']} {split}"
    seed = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    about = [f"{title} questions, {seed}", ""]
    about += [f"- `{system}`: {meaning}." for system, meaning in trained.items()]
    if PLAIN in groups:
        about.append(f"- `{PLAIN}`: the bi-encoder, which compares no tokens.")
    about += [
        f"- `{READER}`: with the reader's confidence added, {weight:g} a unit of its logits.",
        "",
    ]
    lines = [*about, *lines, ""]
    rivals = [system for system in trained if system.startswith("answer_match")]
    for end in ("", READER):
        others = [f"{rival}{end}:tuned" for rival in rivals]
        others += [f"base{READER}:base"] if end else []
        mine = f"radio{end}"
        table, _ = compare(
            f"{name}-rivals{end}", groups, split, baseline=f"{mine}:tuned", systems=others
        )
        gains = {}
        for start in ("radio:retriever", *bases):
            _, gains[start] = compare(
                f"{name}-from-{start.replace(':', '-')}{end}",
                groups,
                split,
                baseline=start,
                systems=[f"{mine}:tuned", f"{TEACHER}:teacher"],
            )
        lines += [*tables_alone(table), *way(mine, gains), ""]
    return lines


def way(system: str, gains: Mapping[str, Found]) -> Iterator[str]:
    """How far a system is from where it came, and how near to its teacher.

    Args:
        system: group of the trained reranker.
        gains: comparisons of it and of the teacher with where it came from, by the name of that.
    """
    yield "| minus | " + " | ".join(gains) + " |"
    yield "|---" * (len(gains) + 1) + "|"
    for measure in WAY:
        cells = [_far(measure, system, found) for found in gains.values()]
        if any(cell != NONE for cell in cells):
            yield f"| {system}:tuned, {measure} | " + " | ".join(cells) + " |"


def _far(measure: str, system: str, found: Found) -> str:
    """The difference with its interval, relative to the start, and as a share of the teacher's."""
    means = found["means"].get(measure)
    if not means:
        return NONE
    row = row_of(found, system, "tuned")
    start, here = means[found["baseline"]]["mean"], means[row]["mean"]
    end = means[row_of(found, TEACHER, "teacher")]["mean"]
    cell = gain(found, measure, row)
    if start > 0:
        cell += f", {100 * (here / start - 1):+.1f} %"
    if end > start:
        cell += f", {100 * (here - start) / (end - start):.0f} % of the teacher's"
    return cell
