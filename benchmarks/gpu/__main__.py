"""``python -m benchmarks.gpu --output FILE``: all rows, as markdown, within ``--seconds``.

``--device cpu --tiny`` runs the same with tiny models on a processor, where the numbers mean
nothing.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.gpu import attention, contests, teachers
from benchmarks.gpu.rows import Row, not_run, table
from benchmarks.machine import matmul_peak

Part = tuple[str, Callable[[], Iterator[Row]]]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="markdown file")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny models: a rehearsal")
    parser.add_argument("--seconds", type=float, default=600, help="no row starts after them")
    return parser.parse_args(given)


def machine(device: str) -> str:
    """What the numbers hold for."""
    names = ("torch", "transformers", "sentence-transformers", "peft", "flash-attn")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    card = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "processor"
    return f"{card}; {', '.join(versions)}"


def parts(folder: Path, device: str, *, tiny: bool) -> Iterator[Part]:
    """The rows, in the order of what matters first."""
    yield "packed attention", lambda: attention.check(device, tiny=tiny)

    def peak() -> Iterator[Row]:
        found = matmul_peak("bfloat16", repeats=2 if tiny else 20, device=device, tiny=tiny)
        contest, shape = contests.full_length(folder, tiny=tiny)
        yield contests.share_of_peak(contest, shape, device, found)

    yield "share of the peak", peak
    yield "teacher scoring", lambda: teachers.race(folder, device, tiny=tiny)
    for contest in contests.contests(folder, device, tiny=tiny):
        yield contest.what, lambda contest=contest: iter([contests.hold(contest, device)])  # type: ignore[misc]


def measure(folder: Path, device: str, *, tiny: bool, seconds: float) -> Iterator[Row]:
    """All rows; a part that fails or has no time left is a row that says so."""
    start = time.monotonic()
    for name, part in parts(folder, device, tiny=tiny):
        if time.monotonic() - start > seconds:
            yield not_run(name, f"{seconds:.0f} s were over")
            continue
        print(f"{time.monotonic() - start:.0f} s: {name}", file=sys.stderr, flush=True)
        try:
            yield from part()
        except (RuntimeError, ImportError, OSError) as error:
            yield not_run(name, f"{type(error).__name__}: {str(error)[:300]}")
        if device == "cuda":
            # the next part is a process of its own
            torch.cuda.empty_cache()


def main(given: list[str] | None = None) -> int:
    args = arguments(given)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device that torch sees", file=sys.stderr)
        return 2
    note = "A rehearsal with tiny models: the numbers mean nothing.\n\n" if args.tiny else ""
    head = f"{note}{time.strftime('%d %B %Y')}. {machine(args.device)}."
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder), args.device, tiny=args.tiny, seconds=args.seconds):
            rows.append(row)
            # after each row: a process that hangs costs the rows behind it, not those before
            args.output.write_text(f"{head}\n\n{table(rows)}\n", encoding="utf-8")
    print(args.output.read_text(encoding="utf-8"))
    return int(any(row.found == "not run" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
