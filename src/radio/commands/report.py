"""``radio report RUN... --output report.html``: one page about runs that can be sent to anyone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from radio.commands.compare import add_choice
from radio.ranges import check
from radio.schema import InputError


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    # runs may stand before, between and after options
    options = _parser().parse_intermixed_args(arguments)
    check("radio report", {"questions": options.questions, "draws": options.draws})
    from radio.comparing.grouping import named_groups

    named = named_groups(options.group)
    if not options.run and not named:
        raise InputError("radio report: found no run, expected some run folders, as runs/NAME")
    path = Path(options.output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--output: found {options.output!r}, expected a file FILE.html")
    if path.is_dir():
        raise InputError(f"--output: {path} is a folder, expected a file FILE.html")
    write_report(
        options.run,
        path,
        named=named,
        baseline=options.baseline,
        measure=options.measure,
        split=options.split,
        common=options.common,
        questions=options.questions,
        seed=options.seed,
        draws=options.draws,
        corpus=options.corpus,
        transfer=options.transfer,
    )
    return 0


def write_report(
    runs: Sequence[str | Path],
    path: Path,
    *,
    named: Mapping[str, Sequence[str | Path]] | None = None,
    baseline: str | None = None,
    measure: str | None = None,
    split: str | None = None,
    common: bool = False,
    questions: int = 1_000,
    seed: int = 0,
    draws: int = 10_000,
    corpus: Sequence[str | Path] = (),
    transfer: str | Path | None = None,
) -> None:
    """Write the page, and say what it leaves out.

    Args:
        runs: their folders.
        path: of the page.
        named: folders of runs that are one group, by its name.
        baseline: as of ``radio compare``.
        measure: that heads it.
        split: of the questions.
        common: as of ``radio compare``.
        questions: how many the explorer holds.
        seed: of their draw.
        draws: of intervals and tests.
        corpus: files of passages, where the config's are not there.
        transfer: folder of a matrix of ``radio transfer``, or its file, that gets a section.

    Raises:
        InputError: the runs cannot be compared, or the page cannot be written.
    """
    from radio.comparing.choosing import compare_runs
    from radio.lines import atomic_write
    from radio.reporting.explorer import explored, pair_of
    from radio.reporting.page import page
    from radio.reporting.transfer import read_transfer

    matrix = None if transfer is None else read_transfer(transfer)
    comparison = compare_runs(
        runs,
        named=named,
        baseline=baseline,
        measure=measure,
        split=split,
        common=common,
        draws=draws,
    )
    pair = pair_of(comparison)
    found = explored(comparison, pair, limit=questions, seed=seed, corpus=corpus)
    text = page(comparison, pair, found, matrix)
    try:
        with atomic_write(path) as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    size = len(text.encode()) / 1e6
    print(f"{len(found.document['questions']):,} questions, {size:.1f} MB: written to {path}")
    for remark in found.remarks:
        print(remark)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="radio report",
        description="One page about runs, without network: what was done, what came of it, and "
        "each question behind it.",
    )
    add_choice(parser, doing="report", heads="page")
    parser.add_argument(
        "--output", default="report.html", metavar="FILE", help="(default: report.html)"
    )
    parser.add_argument(
        "--questions",
        type=int,
        default=1_000,
        help="that the page holds: those that flipped first, others at random (default: 1000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of that draw (default: 0)")
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="FILE",
        help="passages (JSONL, gzip, Parquet), where those of the config are not there",
    )
    parser.add_argument(
        "--transfer",
        metavar="FOLDER",
        help="a section for the matrix that radio transfer has evaluated: its folder, or its "
        "transfer.json",
    )
    return parser
