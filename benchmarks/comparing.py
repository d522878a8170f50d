"""How long ``radio compare`` takes for large runs, and how often it is wrong.

``python -m benchmarks.comparing speed`` compares 10 systems by 10 measures on 10,000 questions with
10,000 draws; ``python -m benchmarks.comparing calibration`` simulates comparisons whose truth is
known. Both print what docs/comparing.md has.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radio.comparing.comparison import LEVEL, figures
from radio.comparing.grouping import Group
from radio.comparing.intervals import Column, Contrast, two_level_intervals
from radio.comparing.reading import RunResults
from radio.comparing.rows import Row
from radio.evaluation.statistics import holm, sign_flip_tests

SYSTEMS, MEASURES, QUESTIONS, DRAWS = 10, 10, 10_000, 10_000
SIMULATED = 2_000
"""Comparisons of each kind."""
FAMILY = 4
"""Systems that are compared with the same baseline."""


def row(name: str, columns: dict[str, NDArray[np.float64]]) -> Row:
    run = RunResults(Path(name), name, {}, {}, {})
    return Row(name, "tuned", (Group(name, (run,)),), columns)


def large(seeds: int) -> list[Row]:
    """Systems of which one measure in two is right or wrong, the other any number."""
    rng = np.random.default_rng(0)
    rows = []
    for system in range(SYSTEMS):
        columns = {}
        for measure in range(MEASURES):
            drawn = rng.random((seeds, QUESTIONS))
            columns[f"m{measure}"] = (drawn < 0.4).astype(float) if measure % 2 else drawn
        rows.append(row(f"s{system}", columns))
    return rows


def speed() -> None:
    """Print the seconds of one large comparison, with one seed and with three."""
    cores = len(os.sched_getaffinity(0))
    print(
        f"{SYSTEMS} systems, {MEASURES} measures, {QUESTIONS:,} questions, {DRAWS:,} draws, "
        f"{cores} cores, load {os.getloadavg()[0]:.1f}\n\n| seeds | s | of processor time |\n"
        "|---|---|---|"
    )
    for seeds in (1, 3):
        rows = large(seeds)
        begin, worked = time.perf_counter(), time.process_time()
        figures(rows, rows[0], list(rows[0].columns), draws=DRAWS)
        seconds = time.perf_counter() - begin
        print(f"| {seeds} | {seconds:.1f} | {time.process_time() - worked:.1f} |", flush=True)


def chances(
    rng: np.random.Generator, systems: int, seeds: int, questions: int, spread: float
) -> NDArray[np.float64]:
    """Chances of a right answer ``[systems, seeds, questions]`` where no system is better than
    another.

    Args:
        rng: of the draws.
        systems: how many.
        seeds: trainings of each.
        questions: how many, some harder than others.
        spread: standard deviation between trainings, in logits.
    """
    difficulty = rng.normal(-0.5, 2.0, questions)
    training = rng.normal(0.0, spread, (systems, seeds, 1))
    return 1 / (1 + np.exp(-(difficulty + training)))


def calibration() -> None:
    """Print how often a test rejects, and an interval lacks the truth, where nothing differs."""
    print(
        f"{SIMULATED:,} simulated comparisons each, {FAMILY} systems with one baseline, level "
        f"{LEVEL:g}\n"
    )
    heads = ["questions", "seeds", "points between trainings", "rejected"]
    heads += [
        "families with a rejection",
        "after Holm",
        "intervals without 0",
        "families with a mark",
    ]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for questions, seeds, spread in (
        (200, 1, 0.0),
        (1000, 1, 0.0),
        (1000, 3, 0.0),
        (1000, 3, 0.05),
        (1000, 3, 0.1),
        (1000, 5, 0.1),
        (1000, 1, 0.1),
    ):
        print(f"| {questions:,} | {seeds} | {simulated(questions, seeds, spread)} |", flush=True)


def simulated(questions: int, seeds: int, spread: float) -> str:
    """The figures of one kind of comparison, as cells."""
    rng = np.random.default_rng([questions, seeds, int(1000 * spread)])
    families = SIMULATED // FAMILY
    between, differences, without_0 = [], [], []
    for family in range(families):
        chance = chances(rng, FAMILY + 1, seeds, questions, spread)
        between.append(chance.mean(axis=2).std(ddof=1))
        found = (rng.random(chance.shape) < chance).astype(float)
        means = found.mean(axis=1)
        differences += list(means[1:] - means[0])
        baseline = Column(found[0], "0")
        contrasts = [Contrast(Column(found[n], str(n)), baseline) for n in range(1, FAMILY + 1)]
        for low, high in two_level_intervals(contrasts, resamples=1_000, seed=family):
            without_0.append(not low <= 0 <= high)
    p_values = np.array(sign_flip_tests(differences, resamples=1_999)).reshape(families, FAMILY)
    corrected = np.array([holm(list(family)) for family in p_values])
    outside = np.array(without_0).reshape(families, FAMILY)
    shares = [
        np.mean(p_values < LEVEL),
        np.mean((p_values < LEVEL).any(axis=1)),
        np.mean((corrected < LEVEL).any(axis=1)),
        np.mean(outside),
        np.mean(((corrected < LEVEL) & outside).any(axis=1)),
    ]
    cells = [f"{100 * np.mean(between):.1f}", *(f"{100 * share:.1f} %" for share in shares)]
    return " | ".join(cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "calibration"))
    {"speed": speed, "calibration": calibration}[parser.parse_args().what]()
