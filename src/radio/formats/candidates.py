"""Candidates that were retrieved elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from radio.formats.fields import take, take_id, take_strings
from radio.formats.runs import read_run
from radio.lines import kind_of, read_lines, read_rows
from radio.schema import (
    Candidate,
    InputError,
    Passage,
    add_passage,
    ranked,
)

Better = Literal["higher", "lower"]
"""Which scores of a candidate file are the better ones: ``lower`` are distances."""


def read_candidates(
    path: str | Path, better: Better | None = None
) -> tuple[dict[str, list[Candidate]], dict[str, Passage]]:
    """Read candidates from a TREC run or JSONL; returns question id -> ranked candidates, and
    passages given inline.

    JSONL rows are ``{"id", "candidates": [{"id", "score", ["contents"], ["from"]}]}`` or ``{"id",
    "candidate_ids", ["scores"]}``; without scores, that of a candidate is 1 / (1 + rank). A
    candidate whose ``from`` names ``gold`` but not ``bm25`` was put in by hand; it is marked as
    ``injected``.

    Args:
        path: the file.
        better: which scores are better; lower ones are negated. None is ``higher``, and refuses a
            file whose lists say otherwise.

    Raises:
        InputError: broken line, missing key, wrong type, a candidate listed twice, one id for two
            texts, a list of which only some have scores, or lists that begin with the lowest score
            though higher ones are better.
    """
    path = Path(path)
    first = next((line for _, line in read_lines(path)), "")
    if not first:
        raise InputError(f"{path}: the file holds no candidate")
    lists: dict[str, dict[str, float | None]] = {}
    passages: dict[str, Passage] = {}
    injected: set[tuple[str, str]] = set()
    if first.lstrip().startswith("{"):
        for place, row in read_rows(path):
            question = take_id(row, place)
            if question in lists:
                raise InputError(f"{place}: question id {question!r} is a duplicate")
            lists[question] = _take_candidates(row, place, passages, injected)
    else:
        lists.update({question: {**scores} for question, scores in read_run(path).items()})
    scored = [[s for s in scores.values() if s is not None] for scores in lists.values()]
    if better is None:
        _refuse_distances(path, scored)
    sign = -1 if better == "lower" else 1
    result = {}
    for question, scores in lists.items():
        final = {
            passage: 1 / (1 + position) if score is None else sign * score + 0.0
            for position, (passage, score) in enumerate(scores.items())
        }
        result[question] = [
            replace(c, injected=(question, c.passage_id) in injected) for c in ranked(final)
        ]
    return result, passages


def _take_candidates(
    row: Mapping[str, Any], place: str, passages: dict[str, Passage], injected: set[tuple[str, str]]
) -> dict[str, float | None]:
    """Scores by passage id as a row lists them; adds its passages, and those that were put in by
    hand."""
    question = take_id(row, place)
    if "candidate_ids" in row:
        ids = take(row, place, "candidate_ids", list)
        given = take(row, place, "scores", list, default=[None] * len(ids))
        if len(ids) != len(given):
            raise InputError(f"{place}: found {len(ids)} candidate_ids but {len(given)} scores")
        entries = [{"id": i, "score": s} for i, s in zip(ids, given, strict=True)]
    else:
        entries = take(row, place, "candidates", list)
    scores: dict[str, float | None] = {}
    for position, entry in enumerate(entries):
        spot = f"{place}: candidate {position + 1}"
        if not isinstance(entry, dict):
            raise InputError(
                f"{spot}: found {kind_of(entry)}, expected an object with 'id' and 'score'"
            )
        identifier = take_id(entry, spot)
        if identifier in scores:
            raise InputError(f"{spot}: passage id {identifier!r} stands twice in the list")
        if "contents" in entry:
            add_passage(passages, Passage(identifier, take(entry, spot, "contents", str)), spot)
        origin = take_strings(entry, spot, "from")
        if "gold" in origin and "bm25" not in origin:
            injected.add((question, identifier))
        score = scores[identifier] = _number(entry.get("score"), spot)
        if position and (score is None) != (next(iter(scores.values())) is None):
            has = (
                "no score, but the first candidate has one"
                if score is None
                else "a score, but the first has none"
            )
            raise InputError(
                f"{spot}: key 'score': found {has}; expected one for each candidate of a list, or "
                "for none"
            )
    return scores


def _number(value: Any, place: str) -> float | None:
    """A score, or None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{place}: key 'score': found {kind_of(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"{place}: key 'score': found {str(value)[:60]}, expected a finite number")
    return number


def _refuse_distances(path: Path, lists: Sequence[Sequence[float]]) -> None:
    """Lists that all begin with their lowest score are sorted, best first: by a distance."""
    decided = [scores for scores in lists if len(set(scores)) > 1]
    rising = [scores for scores in decided if all(a <= b for a, b in pairwise(scores))]
    # how likely it is that scores which stand in no order rise all the same: few short lists may
    chance = -sum(math.lgamma(len(set(scores)) + 1) for scores in rising)
    if 2 * len(rising) > len(decided) and chance < math.log(0.01):
        raise InputError(
            f"{path}: in {len(rising)} of {len(decided)} lists the scores rise from the first "
            "candidate to the last, as distances do; a higher score would rank the last one "
            "first. Say which scores are better with --data.init_args.retriever.init_args.better "
            "lower (or higher, if they are as they should be)"
        )
