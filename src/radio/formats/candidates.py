"""Candidates that were retrieved elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from radio.formats.fields import take, take_id, take_strings
from radio.formats.runs import read_run
from radio.lines import kind_of, read_lines, read_rows
from radio.schema import Candidate, InputError, Passage, add_passage, ranked

Better = Literal["higher", "lower"]
"""Which scores of a candidate file are the better ones: ``lower`` are distances."""


def read_candidates(
    path: str | Path, better: Better | None = None
) -> tuple[dict[str, list[Candidate]], dict[str, Passage]]:
    """Ranked candidates by question id, of a TREC run or JSONL, and the passages it carries.

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
    first_line = next((line for _, line in read_lines(path)), "")
    if not first_line:
        raise InputError(f"{path}: the file holds no candidate")
    file = _File()
    if first_line.lstrip().startswith("{"):
        for place, row in read_rows(path):
            question = take_id(row, place)
            if question in file.lists:
                raise InputError(f"{place}: question id {question!r} is a duplicate")
            file.lists[question] = _take_candidates(row, place, file)
    else:
        for question, scores in read_run(path).items():
            file.lists[question] = dict(scores)
    if better is None:
        _refuse_distances(path, file.lists.values())
    sign = -1 if better == "lower" else 1
    return file.ranked(sign), file.passages


def take_candidates(row: Mapping[str, Any], place: str) -> tuple[list[str], dict[str, Passage]]:
    """Ids of the candidates of one row, in its order, and the passages whose text it carries.

    Raises:
        InputError: as :func:`read_candidates`.
    """
    file = _File()
    return list(_take_candidates(row, place, file)), file.passages


Scores = dict[str, float | None]
"""Scores by passage id in the order of the file; None where it gives none."""


@dataclass
class _File:
    """What a file of candidates says, as far as it is read."""

    lists: dict[str, Scores] = field(default_factory=dict)
    """By question id."""
    passages: dict[str, Passage] = field(default_factory=dict)
    injected: set[tuple[str, str]] = field(default_factory=set)
    """Question and passage id of candidates that were put in by hand."""

    def ranked(self, sign: int) -> dict[str, list[Candidate]]:
        """The candidates of each question, best first; scores are multiplied by ``sign``."""
        rankings = {}
        for question, given in self.lists.items():
            scores = {}
            for position, (passage, score) in enumerate(given.items()):
                # + 0.0: of -1 times 0 it makes a 0 without sign
                scores[passage] = 1 / (1 + position) if score is None else sign * score + 0.0
            rankings[question] = [
                replace(candidate, injected=(question, candidate.passage_id) in self.injected)
                for candidate in ranked(scores)
            ]
        return rankings


def _take_candidates(row: Mapping[str, Any], place: str, file: _File) -> Scores:
    """The scores that a row lists; notes in ``file`` its passages and those put in by hand."""
    question = take_id(row, place)
    scores: Scores = {}
    for number, entry in enumerate(_entries(row, place), 1):
        spot = f"{place}: candidate {number}"
        if not isinstance(entry, dict):
            raise InputError(
                f"{spot}: found {kind_of(entry)}, expected an object with 'id' and 'score'"
            )
        passage = take_id(entry, spot)
        if passage in scores:
            raise InputError(f"{spot}: passage id {passage!r} stands twice in the list")
        if "contents" in entry:
            contents = take(entry, spot, "contents", str)
            add_passage(file.passages, Passage(passage, contents), spot)
        origin = take_strings(entry, spot, "from")
        if "gold" in origin and "bm25" not in origin:
            file.injected.add((question, passage))
        scores[passage] = _number(entry.get("score"), spot)
        _refuse_a_mixture(scores, passage, spot)
    return scores


def _entries(row: Mapping[str, Any], place: str) -> list[Any]:
    """The candidates of a row as objects, in whichever of the two forms they are given."""
    if "candidate_ids" not in row:
        listed: list[Any] = take(row, place, "candidates", list)
        return listed
    ids = take(row, place, "candidate_ids", list)
    scores = take(row, place, "scores", list, default=[None] * len(ids))
    if len(ids) != len(scores):
        raise InputError(f"{place}: found {len(ids)} candidate_ids but {len(scores)} scores")
    return [{"id": passage, "score": score} for passage, score in zip(ids, scores, strict=True)]


def _refuse_a_mixture(scores: Scores, passage: str, spot: str) -> None:
    """All candidates of a list have a score, as the first one says, or none has."""
    first = next(iter(scores.values()))
    if (scores[passage] is None) == (first is None):
        return
    has = (
        "no score, but the first candidate has one"
        if scores[passage] is None
        else "a score, but the first has none"
    )
    raise InputError(
        f"{spot}: key 'score': found {has}; expected one for each candidate of a list, or for none"
    )


def _number(value: object, place: str) -> float | None:
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


def _refuse_distances(path: Path, lists: Iterable[Scores]) -> None:
    """Lists that all begin with their lowest score are sorted, best first: by a distance."""
    decided = 0
    rising = 0
    # how likely it is that scores which stand in no order rise all the same: few short lists may
    chance = 0.0
    for given in lists:
        scores = [score for score in given.values() if score is not None]
        different = len(set(scores))
        if different < 2:
            continue
        decided += 1
        if all(first <= second for first, second in pairwise(scores)):
            rising += 1
            chance -= math.lgamma(different + 1)
    if 2 * rising > decided and chance < math.log(0.01):
        raise InputError(
            f"{path}: in {rising} of {decided} lists the scores rise from the first "
            "candidate to the last, as distances do; a higher score would rank the last one "
            "first. Say which scores are better with --data.init_args.retriever.init_args.better "
            "lower (or higher, if they are as they should be)"
        )
