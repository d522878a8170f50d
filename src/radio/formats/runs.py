"""Rankings and judgements, as TREC and BEIR have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from sys import intern

from radio.lines import atomic_write, read_lines
from radio.schema import InputError, Run, ranked


def read_run(path: str | Path) -> Run:
    """Read a TREC run (``question_id Q0 passage_id rank score tag``).

    Raises:
        InputError: a line without six columns, or a score that is no finite number.
    """
    path = Path(path)
    run: Run = {}
    for number, line in read_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise InputError(
                f"{path}:{number}: found {len(columns)} columns, expected 6: question_id Q0 "
                "passage_id rank score tag"
            )
        score = column_score(columns, 5, f"{path}:{number}")
        scores = run.setdefault(columns[0], {})
        if columns[2] in scores:
            raise InputError(
                f"{path}:{number}: passage id {columns[2]!r} stands twice for question "
                f"{columns[0]!r}"
            )
        # a passage is among those of many questions, its id kept once
        scores[intern(columns[2])] = score
    return run


def column_score(columns: Sequence[str], column: int, place: str) -> float:
    """The number in a column, counted from 1."""
    found = columns[column - 1]
    try:
        score = float(found)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise InputError(f"{place}: column {column}: found {found!r}, expected a finite score")
    return score


def read_qrels(path: str | Path) -> Run:
    """Read judgements as BEIR has them: a header, then ``query-id corpus-id score``.

    Raises:
        InputError: another header, a line without three columns, a score that is no finite number,
            or two scores for the same passage and query.
    """
    path = Path(path)
    header = "query-id corpus-id score".split()
    run: Run = {}
    lines = read_lines(path)
    number, first = next(lines, (1, ""))
    if first.split() != header:
        raise InputError(
            f"{path}:{number}: found {first.strip()[:60]!r}, expected the header {' '.join(header)}"
        )
    for number, line in lines:
        columns = line.split()
        if len(columns) != 3:
            raise InputError(
                f"{path}:{number}: found {len(columns)} columns, expected 3: {' '.join(header)}"
            )
        score = column_score(columns, 3, f"{path}:{number}")
        known = run.setdefault(columns[0], {}).setdefault(columns[1], score)
        if known != score:
            raise InputError(
                f"{path}:{number}: found score {score:g} for {columns[:2]}, which has {known:g} "
                "already"
            )
    return run


def write_run(path: str | Path, run: Mapping[str, Mapping[str, float]], tag: str) -> None:
    """Write a TREC run, passages by descending score."""
    with atomic_write(path) as file:
        for question, scores in run.items():
            for candidate in ranked(scores):
                rank, score = candidate.rank + 1, float(candidate.score)
                file.write(f"{question} Q0 {candidate.passage_id} {rank} {score!r} {tag}\n")
