"""The measurements of one case as a table in markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.agreement import agreement
from benchmarks.rows import RADIO, Case

Runs = dict[str, list[dict[str, Any]]]
"""Name of the row to what its worker reported, round by round."""


@dataclass(frozen=True)
class Yardstick:
    """What the runs of a case are measured by.

    Args:
        flops: useful ones, of all timed pairs.
        peak: FLOP/s of the machine in this dtype; 0 if unknown.
        reference: fp32 scores of the timed pairs; empty in training.
        sizes: candidates of each question.
    """

    flops: float
    peak: float
    reference: Sequence[float] = ()
    sizes: Sequence[int] = ()


def token_counts(rows: list[dict[str, Any]], field: str, model: Path, max_length: int) -> list[int]:
    """Tokens of each pair."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "default/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    pairs = [(row["question"], passage) for row in rows for passage in row[field]]
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(pairs)]


def useful_flops(lengths: list[int], model: Path, training: bool) -> float:
    """FLOPs of the encoder on these sequences, as :mod:`benchmarks.speed` counts them."""
    config = json.loads((model / "default/config.json").read_text(encoding="utf-8"))
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    weights = layers * (4 * hidden**2 + 2 * hidden * config["intermediate_size"])
    forward = sum(2 * weights * n + 4 * n**2 * hidden * layers for n in lengths)
    return float(forward * (3 if training else 1))


def table(case: Case, results: Runs, yardstick: Yardstick) -> str:
    """One case as markdown; a row for each library and setting, fastest first."""
    speeds = {name: [r["pairs_per_s"] for r in runs] for name, runs in results.items()}
    ranking = case[0] == "rank"
    wrong = other_work(case, results, yardstick)
    counted = [median(v) for name, v in speeds.items() if name != RADIO and name not in wrong]
    best = max(counted, default=float("nan"))
    columns = ["row", "version", "pairs/s, median", "min-max", "to best peer", "useful GFLOP/s"]
    columns += ["of peak", "peak MiB", "of it steps"]
    columns += ["tau-b", "largest difference", "batch"] if ranking else []
    title = f"### {case[0]}, {case[1]}" + ("" if ranking else f", dropout {case[2]}")
    lines = [title, "", _row(columns), _row(["---"] * len(columns))]
    for name in sorted(speeds, key=lambda name: -median(speeds[name])):
        runs, speed = results[name], speeds[name]
        rate = yardstick.flops / median(sum(r["step_seconds"]) for r in runs)
        cells = [name, f"{runs[0]['peer']} {runs[0]['version']}", f"{median(speed):.1f}"]
        cells += [f"{min(speed):.1f}-{max(speed):.1f}", f"{median(speed) / best:.2f}"]
        cells += [f"{rate / 1e9:.1f}", f"{rate / yardstick.peak:.0%}" if yardstick.peak else "-"]
        cells += [f"{max(r['peak_rss_mib'] for r in runs):.0f}"]
        cells += [f"{max(r['step_rss_mib'] for r in runs):.0f}"]
        if ranking:
            tau, gap = agreement(yardstick.reference, runs[0]["scores"], yardstick.sizes)
            sizes = {r["notes"].get("batch_size") for r in runs} - {None}
            cells += [f"{tau:.4f}", f"{gap:.1e}", " ".join(map(str, sorted(sizes))) or "-"]
        lines.append(_row(cells))
    if wrong:
        lines += ["", f"not compared with, other scores than the reference: {', '.join(wrong)}"]
    return "\n".join(lines + ([] if ranking else first_losses(case, results)))


SAME_WORK = 0.99
"""Least tau-b in fp32: an approximated GELU stays above it, a shorter text does not."""


def other_work(case: Case, results: Runs, yardstick: Yardstick) -> list[str]:
    """Rows that cannot have scored the same texts with the same weights.

    In fp32 alone: in other precisions a difference may be the precision's.
    """
    if case[:2] != ("rank", "fp32"):
        return []
    taus = {
        name: agreement(yardstick.reference, runs[0]["scores"], yardstick.sizes)[0]
        for name, runs in results.items()
    }
    return [name for name, tau in taus.items() if not tau >= SAME_WORK]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def first_losses(case: Case, results: Runs) -> list[str]:
    """How far the libraries are apart in the first loss on the same weights and texts."""
    peers = [name for name in results if name != RADIO]
    if case[2] != "0" or len(results) < 2 or not peers:
        return []
    reference = results[peers[0]][0]["losses"][0]
    gaps = [
        f"{name} {abs(runs[0]['losses'][0] - reference):.1e}"
        for name, runs in results.items()
        if name != peers[0]
    ]
    return ["", f"first loss, difference to {peers[0]}: {', '.join(gaps)}"]
