"""``radio compare RUN...``: systems of several runs side by side, each against a baseline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from radio.ranges import check
from radio.schema import InputError


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    # runs may stand before, between and after options
    options = _parser().parse_intermixed_args(arguments)
    check("radio compare", {"draws": options.draws})
    from radio.comparing.choosing import compare_runs
    from radio.comparing.grouping import named_groups
    from radio.comparing.outputs import check_output, write
    from radio.comparing.terminal import show

    named = named_groups(options.group)
    if not options.run and not named:
        raise InputError("radio compare: found no run, expected some run folders, as runs/NAME")
    outputs = [Path(name) for name in options.output]
    for path in outputs:
        check_output(path)
    comparison = compare_runs(
        options.run,
        named=named,
        baseline=options.baseline,
        systems=_names(options.systems),
        measure=options.measure,
        measures=_names(options.measures),
        split=options.split,
        common=options.common,
        draws=options.draws,
    )
    show(comparison)
    for path in outputs:
        write(comparison, path)
        print(f"written to {path}")
    return 0


def add_choice(parser: argparse.ArgumentParser, *, doing: str, heads: str) -> None:
    """The options that say which runs and questions are compared, and by what: those of every
    command that compares runs.

    Args:
        parser: gets them.
        doing: what the command does with questions that the runs have in common.
        heads: what the measure heads.
    """
    parser.add_argument("run", nargs="*", metavar="RUN", help="run folder, as runs/NAME")
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=RUN,RUN",
        help="runs that are one group whatever their configs say; patterns too: a=runs/a-*",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN:SYSTEM",
        help="what the others are compared with: of a run or a group (default: base, else "
        "retriever)",
    )
    parser.add_argument(
        "--measure",
        help=f"that heads the {heads} (default: em, else accuracy, else nDCG@5); em is em@1 too",
    )
    parser.add_argument("--split", help="default: test if all runs have it, else validation")
    parser.add_argument(
        "--common",
        action="store_true",
        help=f"{doing} the questions and measures that the runs have in common, where they differ",
    )
    parser.add_argument(
        "--draws", type=int, default=10_000, help="of the intervals and tests (default: 10000)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="radio compare",
        description="Systems of several runs side by side: means, differences to a baseline, and "
        "what they show. Runs of one config with other seeds are one group.",
    )
    add_choice(parser, doing="compare", heads="table")
    parser.add_argument(
        "--systems", metavar="A,B", help="those that are compared (default: all of the runs)"
    )
    parser.add_argument("--measures", metavar="A,B", help="the other ones (default: all)")
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="FILE",
        help="write a file too: .json, .csv, .md or .tex; may be given several times",
    )
    return parser


def _names(option: str | None) -> list[str] | None:
    if option is None:
        return None
    return [name.strip() for name in option.split(",") if name.strip()]
