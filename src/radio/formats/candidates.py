"""Candidates that were retrieved elsewhere."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from sys import intern
from typing import Any, Literal, NamedTuple

from radio.formats.fields import take, take_id, take_strings
from radio.formats.runs import read_run
from radio.lines import kind_of, read_lines, read_rows
from radio.schema import Candidate, InputError, Passage, add_passage, ranked

Better = Literal["higher", "lower"]
"""Which scores of a candidate file are the better ones: ``lower`` are distances."""


class CandidateLists(Mapping[str, list[Candidate]]):
    """Ranked candidates by question id. A list is made when it is asked for: what is held of a
    candidate is its score and where its id is, which all lists hold once."""

    def __init__(self) -> None:
        self._lists: dict[str, _Packed] = {}

    def add(
        self, question: str, scores: Mapping[str, float], injected: Collection[str] = ()
    ) -> None:
        """Add the list of a question.

        Args:
            question: its id.
            scores: by passage id.
            injected: ids of passages that were put in by hand.
        """
        best_first = ranked(scores)
        self._lists[question] = _Packed(
            tuple(intern(candidate.passage_id) for candidate in best_first),
            array("d", [candidate.score for candidate in best_first]),
            tuple(one.rank for one in best_first if one.passage_id in injected),
        )

    def update(self, other: CandidateLists) -> None:
        """Add the lists of others."""
        self._lists |= other._lists

    def __getitem__(self, question: str) -> list[Candidate]:
        names, scores, injected = self._lists[question]
        found = []
        for rank, (name, score) in enumerate(zip(names, scores, strict=True)):
            found.append(Candidate(name, rank, score, rank in injected))
        return found

    def __contains__(self, question: object) -> bool:
        # without making its list
        return question in self._lists

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)


class _Packed(NamedTuple):
    """The list of a question, best first."""

    names: tuple[str, ...]
    scores: array[float]
    injected: tuple[int, ...]
    """Ranks of those that were put in by hand."""


def read_candidates(
    path: str | Path, better: Better | None = None
) -> tuple[CandidateLists, dict[str, Passage]]:
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
    file = _File(-1 if better == "lower" else 1)
    if first_line.lstrip().startswith("{"):
        for place, row in read_rows(path):
            question = take_id(row, place)
            if question in file.lists:
                raise InputError(f"{place}: question id {question!r} is a duplicate")
            file.add(question, *_take_candidates(row, place, file.passages))
    else:
        run = read_run(path)
        for question in list(run):
            file.add(question, dict(run.pop(question)), set())
    if better is None:
        file.order.refuse_distances(path)
    return file.lists, file.passages


def take_candidates(row: Mapping[str, Any], place: str) -> tuple[list[str], dict[str, Passage]]:
    """Ids of the candidates of one row, in its order, and the passages whose text it carries.

    Raises:
        InputError: as :func:`read_candidates`.
    """
    passages: dict[str, Passage] = {}
    scores, _ = _take_candidates(row, place, passages)
    return list(scores), passages


Scores = dict[str, float | None]
"""Scores by passage id in the order of the file; None where it gives none."""


class _File:
    """What a file of candidates says, as far as it is read.

    Args:
        sign: scores are multiplied by it.
    """

    def __init__(self, sign: int) -> None:
        self.lists = CandidateLists()
        self.passages: dict[str, Passage] = {}
        self.order = _Order()
        self._sign = sign

    def add(self, question: str, given: Scores, injected: set[str]) -> None:
        """Add the list of a question."""
        self.order.look(given)
        scores = {}
        for position, (passage, score) in enumerate(given.items()):
            # + 0.0: of -1 times 0 it makes a 0 without sign
            scores[passage] = 1 / (1 + position) if score is None else self._sign * score + 0.0
        self.lists.add(question, scores, injected)


def _take_candidates(
    row: Mapping[str, Any], place: str, passages: dict[str, Passage]
) -> tuple[Scores, set[str]]:
    """The scores that a row lists, and which of its candidates were put in by hand; its passages
    are added to those of the file."""
    scores: Scores = {}
    injected: set[str] = set()
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
            add_passage(passages, Passage(passage, contents), spot)
        origin = take_strings(entry, spot, "from")
        if "gold" in origin and "bm25" not in origin:
            injected.add(passage)
        scores[passage] = _number(entry.get("score"), spot)
        _refuse_a_mixture(scores, passage, spot)
    return scores, injected


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


@dataclass
class _Order:
    """How the scores of a file go, list by list."""

    decided: int = 0
    rising: int = 0
    chance: float = 0.0
    """Logarithm of how likely it is that scores which stand in no order rise all the same: few
    short lists may."""

    def look(self, given: Scores) -> None:
        """Take note of a list."""
        scores = [score for score in given.values() if score is not None]
        different = len(set(scores))
        if different < 2:
            return
        self.decided += 1
        if all(first <= second for first, second in pairwise(scores)):
            self.rising += 1
            self.chance -= math.lgamma(different + 1)

    def refuse_distances(self, path: Path) -> None:
        """Lists that all begin with their lowest score are sorted, best first: by a distance."""
        if 2 * self.rising > self.decided and self.chance < math.log(0.01):
            raise InputError(
                f"{path}: in {self.rising} of {self.decided} lists the scores rise from the first "
                "candidate to the last, as distances do; a higher score would rank the last one "
                "first. Say which scores are better with "
                "--data.init_args.retriever.init_args.better lower (or higher, if they are as they "
                "should be)"
            )
