"""``radio diagnose RUN``: whether the run's questions were seen before, and whether its gain
survives other passages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from radio.ranges import check
from radio.schema import InputError

KS, DISTRACTORS = "1,2,3,5,10,20", "0,1,2,4"


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit status is 1 where a test failed."""
    options = _parser().parse_intermixed_args(arguments)
    ks, distractors = _numbers("--ks", options.ks), _numbers("--distractors", options.distractors)
    check(
        "radio diagnose",
        {**vars(options), "ks": ks, "distractors": distractors},
    )
    if 0 not in distractors:
        raise InputError(
            f"--distractors: found {options.distractors!r}, expected 0 among them: the others are "
            "compared with none"
        )
    # imported so that their short names in a config resolve
    import data_modules  # noqa: F401

    # with torch, and what is built on it
    from radio.diagnosing.diagnosis import TESTS, WRITES, Diagnosing, Settings, write
    from radio.diagnosing.subject import open_subject
    from radio.diagnosing.terminal import show
    from radio.runs import story
    from radio.runs.folder import mark_as_own

    tests = _tests(options.tests, TESTS)
    target = Path(options.output or options.run)
    if options.output:
        mark_as_own(target, WRITES, "diagnose")
    story.quiet()
    subject = open_subject(options.run, options.split, options.measure)
    if not options.output:
        mark_as_own(target, WRITES, "diagnose")
    settings = Settings(
        tests=tests,
        questions=options.questions,
        seed=options.seed,
        top_k=options.top_k,
        ks=sorted(set(ks)),
        distractors=sorted(set(distractors)),
        threshold=options.threshold,
        encoder=options.encoder,
    )
    diagnosis = Diagnosing(subject, settings).run()
    write(diagnosis, subject, target)
    show(diagnosis.document)
    print(f"page: {target / 'diagnose.html'}")
    return 1 if diagnosis.document["failed"] else 0


def _numbers(option: str, given: str) -> list[int]:
    try:
        return [int(part) for part in given.split(",")]
    except ValueError:
        raise InputError(
            f"{option}: found {given!r}, expected whole numbers with commas, such as {KS}"
        ) from None


def _tests(given: str | None, known: Sequence[str]) -> list[str]:
    if given is None:
        return list(known)
    wanted = [name.strip() for name in given.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise InputError(f"--tests: found {name!r}, expected some of {', '.join(known)}")
    if not wanted:
        raise InputError(f"--tests: found none, expected some of {', '.join(known)}")
    return [name for name in known if name in wanted]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="radio diagnose",
        description="How far the figures of a run can be trusted: which of its questions were seen "
        "before, and whether its gain survives other orders, depths and distractors.",
    )
    parser.add_argument("run", metavar="RUN", help="run folder, as runs/NAME")
    parser.add_argument("--split", help="default: test if the run has it, else validation")
    parser.add_argument(
        "--tests",
        metavar="A,B",
        help="some of training, rationales, candidates, corpus, near, closed_book, order, depth, "
        "distractors (default: all)",
    )
    parser.add_argument(
        "--questions",
        type=int,
        help="that the generators are asked about, drawn at random (default: all)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of that draw, shuffles and distractors (default: 0)"
    )
    parser.add_argument(
        "--top_k",
        type=int,
        help="passages that are read in another order and between distractors (default: the run's)",
    )
    parser.add_argument(
        "--ks", default=KS, metavar="A,B", help=f"passages of the curve (default: {KS})"
    )
    parser.add_argument(
        "--distractors",
        default=DISTRACTORS,
        metavar="A,B",
        help=f"passages of other questions that are mixed in (default: {DISTRACTORS})",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.9,
        help="cosine from which on a question is a near duplicate (default: 0.9)",
    )
    parser.add_argument(
        "--encoder", metavar="MODEL", help="of the near duplicates (default: that of the config)"
    )
    parser.add_argument(
        "--measure", help="that the gain is of (default: em, else accuracy, else nDCG@5)"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", help="for the page and the numbers (default: the run folder)"
    )
    return parser
