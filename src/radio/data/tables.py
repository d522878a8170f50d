"""Candidates and teacher scores of a split on disk: memory holds what is being looked at."""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from radio.cache import Cache
from radio.mapped import Mapped, Row, Rows, batches
from radio.schema import Candidate, Example, InputError, Missing, Question

FOLDER = "tables"
"""Beside the cache. What is in it is made again from the cache, and may be deleted."""

Rankings = Mapping[str, tuple[Candidate, ...]]
"""Candidates by question id, best first."""

Taught = Mapping[str, dict[str, float]]
"""Teacher scores: question id -> passage id -> [0, 1]."""


Keyed = Iterable[tuple[Question, str]]
"""Questions, each with the key of its entry in the cache."""

TOGETHER = 1000
"""Entries of the cache that are looked up together."""


class CandidateTable(Mapped[tuple[Candidate, ...]]):
    """The candidates of each question, by its id."""

    unit = "questions"
    called = "table of candidates"
    short: ClassVar = "candidates"

    def value(self, identifier: str, text: str) -> tuple[Candidate, ...]:
        return as_candidates(json.loads(text))


class ScoreTable(Mapped[dict[str, float]]):
    """The teacher's scores of each question that it has scored, by its id."""

    unit = "questions"
    called = "table of teacher scores"
    short: ClassVar = "scores"

    def value(self, identifier: str, text: str) -> dict[str, float]:
        return as_scores(json.loads(text))


Table = TypeVar("Table", CandidateTable, ScoreTable)

T = TypeVar("T")


def home_of(kind: type[Table], cache: Path, depends_on: Iterable[str]) -> Path:
    """Where a table lies, named by what it depends on.

    Args:
        kind: of table.
        cache: folder of the cache.
        depends_on: fingerprints of all that its rows depend on.
    """
    digest = hashlib.sha256()
    for part in depends_on:
        digest.update(part.encode())
    return cache / FOLDER / f"{kind.short}-{digest.hexdigest()[:32]}"


def open_table(kind: type[Table], home: Path, rows: Rows) -> Table:
    """The table of a folder, made from these rows where there is none.

    Beside a cache that can only be read it is made in a temporary folder, for this process.

    Raises:
        InputError: it cannot be written; or what ``rows`` raises.
    """
    table = kind()
    try:
        try:
            table.open(home, rows)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            temporary = tempfile.mkdtemp(prefix="radio-tables-")
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            table.open(Path(temporary) / home.name, rows)
    except OSError as error:
        raise InputError(
            f"{home}: cannot be written ({error.strerror or error}); free some space, or give "
            "another folder with --data.init_args.cache_dir, and run the same command again"
        ) from None
    return table


class Examples(Sequence[Example]):
    """The examples of a split, each put together when it is asked for.

    Args:
        questions: of the split.
        candidates: of each question.
        scores: of the teacher, by question id; a question may have none.
    """

    def __init__(self, questions: Sequence[Question], candidates: Rankings, scores: Taught) -> None:
        self.scores = scores
        self._questions = questions
        self._candidates = candidates
        self._places: Sequence[int] = range(len(questions))
        self._weights: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        question = self._questions[self._places[number]]
        weight = 1.0 if self._weights is None else self._weights[number]
        candidates = self._candidates[question.id]
        return Example(question, candidates, self.scores.get(question.id), weight)

    def only(self, numbers: Sequence[int]) -> Examples:
        """Those of these numbers, in their order."""
        chosen = copy(self)
        chosen._places = array("q", [self._places[number] for number in numbers])
        if self._weights is not None:
            chosen._weights = array("d", [self._weights[number] for number in numbers])
        return chosen

    def weighted(self, weights: Sequence[float]) -> Examples:
        """The same with these weights."""
        chosen = copy(self)
        chosen._weights = array("d", weights)
        return chosen


# The cache


def lacking(cache: Cache, keyed: Keyed) -> list[Question]:
    """The questions for which the cache has no entry."""
    found = []
    for some in batches(keyed, TOGETHER):
        question_of = {key: question for question, key in some}
        found += [question_of[key] for key in cache.missing(list(question_of))]
    return found


def stored(
    cache: Cache, keyed: Keyed, parse: Callable[[Any], T]
) -> Iterator[tuple[Question, T | None]]:
    """Each question with what the cache has for it, or None.

    Raises:
        InputError: an entry is damaged.
    """
    for some in batches(keyed, TOGETHER):
        entries = cache.get_json([key for _, key in some], parse)
        for question, key in some:
            yield question, entries.get(key)


def rows(
    cache: Cache,
    keyed: Keyed,
    check: Callable[[Any], object],
    what: str,
    split: str,
    whole: int,
) -> Iterator[Row]:
    """The rows of a table, as the cache has them.

    Args:
        cache: where they are.
        keyed: questions whose entry is a row.
        check: raises where an entry is damaged.
        what: they are, for messages.
        split: of the questions.
        whole: how many it has.

    Raises:
        Missing: some are not there.
        InputError: an entry is damaged.
    """

    def checked(value: Any) -> Any:
        check(value)
        return value

    without = []
    for question, value in stored(cache, keyed, checked):
        if value is None:
            without.append(question.id)
        else:
            # half a character, which may stand in an id, is no UTF-8
            yield "", question.id, json.dumps(value, separators=(",", ":"))
    if without:
        raise Missing(what, split, without, whole)


def as_candidates(value: Any) -> tuple[Candidate, ...]:
    """The ranking of an entry of the cache; anything else is a TypeError."""
    found = []
    for rank, (identifier, score) in enumerate(value):
        if not isinstance(identifier, str) or not isinstance(score, (int, float)):
            raise TypeError("expected pairs of a passage id and a score")
        found.append(Candidate(identifier, rank, score))
    return tuple(found)


def as_scores(value: Any) -> dict[str, float]:
    """A teacher's scores, passage id -> [0, 1], of an entry of the cache; anything else is a
    TypeError."""
    scores = value.values() if isinstance(value, dict) else [None]
    for score in scores:
        if not isinstance(score, (int, float)) or not isfinite(score):
            raise TypeError("expected an object of passage ids and finite scores")
    return dict(value)
