"""Correctness and speed on one NVIDIA GPU, as a table: called by ``benchmarks/gpu.sh``."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.gpu import attention, cross_encoder, embedding, teacher, yes_no
from benchmarks.gpu.measure import Row, Work, first_line, release
from radio.lines import atomic_write
from radio.models.limits import computes_in_bf16

SECONDS = 660.0
"""For all parts; what installs and imports comes on top, within 12 minutes."""


@dataclass(frozen=True)
class Part:
    """A part of the table, and the seconds that it is given."""

    name: str
    seconds: int
    rows: Callable[[Work], list[Row]]


BASE, SMALL, RETRIEVER = "bge-reranker-base", "MiniLM-L6", "e5-base-v2"

PARTS = [
    Part("peak", 15, attention.peak),
    Part("attention", 25, attention.attention),
    Part("peak-no-dropout", 30, partial(cross_encoder.share_of_peak, name=BASE, dropout=0.0)),
    Part("peak-dropout", 30, partial(cross_encoder.share_of_peak, name=BASE, dropout=None)),
    Part("train-base", 60, partial(cross_encoder.training, name=BASE, dropout=None)),
    Part("rank-base", 50, partial(cross_encoder.ranking, name=BASE)),
    Part("teacher", 75, teacher.scoring),
    Part("embed-base", 50, partial(embedding.embedding, name=RETRIEVER)),
    Part("embed-small", 30, partial(embedding.embedding, name=SMALL)),
    Part("train-yes-no", 60, yes_no.training),
    Part("rank-yes-no", 40, yes_no.ranking),
    Part("train-base-no-dropout", 50, partial(cross_encoder.training, name=BASE, dropout=0.0)),
    Part("train-small", 40, partial(cross_encoder.training, name=SMALL, dropout=None)),
    Part("rank-small", 40, partial(cross_encoder.ranking, name=SMALL)),
]
"""In the order of their weight: what does not fit is at the end."""


def measure(
    work: Work, parts: Sequence[Part], write: Callable[[list[Row], list[str]], None]
) -> tuple[list[Row], list[str]]:
    """The rows of all parts, and what is not in them, with the reason.

    Args:
        work: where, and how long.
        parts: what to measure.
        write: is given all rows so far after each part: a later one may be cut off.
    """
    rows: list[Row] = []
    missing: list[str] = []
    for part in parts:
        # a part that has less than half of its time would be measured badly
        if work.left < part.seconds / 2:
            missing.append(f"{part.name}: left out, {work.left:.0f} s were left")
            continue
        print(f"{part.name}: at most {part.seconds} s", file=sys.stderr, flush=True)
        work.begin(part.seconds)
        try:
            rows += part.rows(work)
        except Exception as error:  # the other parts are worth having
            missing.append(f"{part.name}: failed, {first_line(error)}")
        release()
        write(rows, missing)
    return rows, missing


def table(work: Work, rows: Sequence[Row], missing: Sequence[str]) -> str:
    """The section of the page, as markdown."""
    lines = [
        f"`benchmarks/gpu.sh` on {time.strftime('%d %B %Y')}, {machine(work)}. "
        f"{'bf16' if work.on_gpu else 'fp32'}, models of random weights; each side at its best of "
        "several batch sizes and settings, which stands in parentheses with the GPU's memory.",
        "",
    ]
    if work.tiny:
        lines += ["A test that the script works: its speeds mean nothing, and none is judged.", ""]
    lines += [
        "| what | in | this project | peer | result | aim | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = {True: "yes", False: "**no**", None: "-"}[row.met]
        cells = [row.what, row.unit, row.ours, row.peer, row.value, row.aim, met]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    notes = [f"- {row.what}: {note}" for row in rows for note in row.notes]
    lines += ["", *notes] if notes else []
    if missing:
        lines += ["", "Not measured:", "", *(f"- {one}" for one in missing)]
    return "\n".join(lines) + "\n"


def machine(work: Work) -> str:
    """The device, and the packages that the figures depend on."""
    name = torch.cuda.get_device_name() if work.on_gpu else f"a processor ({platform.machine()})"
    packages = []
    for package in ("torch", "transformers", "sentence-transformers", "peft", "flash-attn"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            packages.append(f"no {package}")
    return f"{name}; {', '.join(packages)}"


def main(argv: Sequence[str] | None = None) -> int:
    """0 if all parts were measured, 1 if not, 2 if there is no such device."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a test that the script works")
    parser.add_argument("--output", type=Path, help="markdown file for the table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts")
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    args = parser.parse_args(argv)
    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            "gpu.sh: torch sees no NVIDIA GPU here (torch "
            f"{torch.__version__}); install a build of torch for CUDA, or try the script with "
            "--device cpu --tiny",
            file=sys.stderr,
        )
        return 2
    if args.device == "cuda" and not computes_in_bf16("cuda"):
        name = torch.cuda.get_device_name()
        print(f"gpu.sh: {name} does not compute in bf16, expected one that does", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        work = Work(args.device, args.tiny, Path(folder), args.seconds)

        def write(rows: list[Row], missing: list[str]) -> None:
            if args.output:
                with atomic_write(args.output) as file:
                    file.write(table(work, rows, missing))

        parts = [part for part in PARTS if part.name in args.parts]
        rows, missing = measure(work, parts, write)
        write(rows, missing)
        print(table(work, rows, missing))
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
