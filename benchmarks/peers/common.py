"""What the workers share: arguments, data, clock, report. It imports nothing but the standard
library and torch.

A worker is one process in the environment of its library. The last line that it prints is a JSON
object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

Group = dict[str, Any]
Score = Callable[[list[Group], int], list[float]]


def arguments() -> argparse.Namespace:
    """Parse the command line, and set the threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--groups", type=Path, required=True, help="JSONL of benchmarks.groups")
    parser.add_argument("--model", type=Path, required=True, help="folder of benchmarks.model")
    parser.add_argument("--task", choices=["train", "rank", "export"], required=True)
    parser.add_argument("--exports", type=Path, help="folder of the exported models")
    parser.add_argument("--file", help="of the exported model, which one of them")
    parser.add_argument(
        "--sort", action="store_true", help="sort the pairs by length for a library that does not"
    )
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[32], help="the fastest of the warm-up counts"
    )
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON, of radio's reranker")
    parser.add_argument("--questions", type=int, default=8, help="in one optimizer step")
    parser.add_argument("--steps", type=int, default=10, help="that are timed")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them")
    parser.add_argument("--dtype", choices=["fp32", "bf16", "int8"], default="fp32")
    parser.add_argument(
        "--dropout", choices=["default", "0"], default="default", help="subfolder of the model"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--kind", choices=["cross_encoder", "language_model"], default="cross_encoder"
    )
    parser.add_argument("--attention", default="sdpa", help="that a peer lets one choose")
    parser.add_argument(
        "--mini-batch", type=int, default=-1, help="pairs of a step that a peer takes at once"
    )
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.model = str(args.model / args.dropout)

    import torch

    torch.set_num_threads(args.threads)
    return args


def read_groups(args: argparse.Namespace) -> tuple[list[Group], list[Group]]:
    """Groups of the warm-up, and of the timed steps."""
    groups = [
        json.loads(line) for line in args.groups.read_text(encoding="utf-8").strip("\n").split("\n")
    ]
    first, last = args.questions * args.warmup, args.questions * (args.warmup + args.steps)
    if len(groups) < last:
        raise SystemExit(f"{args.groups} has {len(groups)} groups, expected {last}")
    return groups[:first], groups[first:last]


def pairs(groups: list[Group]) -> list[tuple[str, str]]:
    """Question and passage, for all candidates."""
    return [(group["question"], passage) for group in groups for passage in group["all_passages"]]


def _wait_for_gpu() -> None:
    """Its work is only queued when a call returns."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _gpu_mib() -> float:
    """Most memory that tensors had on the GPU; 0 on a processor."""
    import torch

    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_initialized() else 0.0


def rank(args: argparse.Namespace, package: str, score: Score) -> None:
    """Time ``score`` with the batch size that was fastest on the groups of the warm-up, and report.

    Args:
        args: of :func:`arguments`.
        package: whose version is reported.
        score: groups and a batch size to the scores of their pairs, in the order of :func:`pairs`.
    """
    warmup, timed = read_groups(args)
    clock, seconds = Clock(), {}
    clock.start()
    # thread pools, kernels, compiled shapes
    score(warmup, args.batch_sizes[0])
    for size in args.batch_sizes:
        start = time.perf_counter()
        score(warmup, size)
        seconds[size] = time.perf_counter() - start
    best = min(seconds, key=lambda size: seconds[size])
    clock.tick()
    scores = score(timed, best)
    clock.tick()
    clock.report(args, package, scores, batch_size=best)


def longest_first(texts: list[str]) -> list[int]:
    """Numbers of the texts, by their characters."""
    return sorted(range(len(texts)), key=lambda number: -len(texts[number]))


class Clock:
    """Seconds from one step to the next, whatever happens in between, and the memory that they
    take."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []
        self.rss_before = 0.0

    def start(self) -> None:
        _wait_for_gpu()
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        self.rss_before = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.times = [time.perf_counter()]

    def tick(self) -> None:
        _wait_for_gpu()
        self.times.append(time.perf_counter())

    def report(
        self,
        args: argparse.Namespace,
        package: str,
        scores: list[float] | None = None,
        **notes: Any,
    ) -> None:
        """Print the result.

        Args:
            args: of :func:`arguments`.
            package: whose version is reported.
            scores: of the timed pairs, where the task is to rank.
            notes: what else the table says of this run.
        """
        seconds = [b - a for a, b in zip(self.times, self.times[1:], strict=False)]
        # ranking is one timed call after one call that warms up
        seconds = seconds[args.warmup :] if args.task == "train" else seconds[1:]
        _, groups = read_groups(args)
        count = sum(len(g["passages" if args.task == "train" else "all_passages"]) for g in groups)
        if args.task == "train" and (
            len(seconds) != args.steps or len(self.losses) != args.steps + args.warmup
        ):
            raise RuntimeError(
                f"{len(seconds)} steps and {len(self.losses)} losses, expected {args.steps} steps"
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        result = {
            "peer": package,
            "version": version(package),
            "pairs_per_s": count / sum(seconds),
            "step_seconds": seconds,
            "peak_rss_mib": peak,
            "step_rss_mib": peak - self.rss_before,
            "gpu_mib": _gpu_mib(),
            "losses": self.losses,
            "notes": notes,
        }
        print(
            "\n" + json.dumps(result if scores is None else result | {"scores": scores}), flush=True
        )
