"""Questions, candidates, rationales and teacher scores on disk: memory holds what is looked at."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from radio.cache import Cache
from radio.fingerprints import fingerprint
from radio.formats import take_questions
from radio.lines import check_file, read_rows
from radio.mapped import Mapped, Picked, batches
from radio.mapped_files import READ_ONLY, Row, Rows, UnusableError
from radio.schema import Candidate, Example, InputError, Missing, Question

FOLDER = "tables"
"""Beside the cache. What is in it is made again from the cache, and may be deleted."""

Rankings = Mapping[str, tuple[Candidate, ...]]
"""Candidates by question id, best first."""

Taught = Mapping[str, dict[str, float]]
"""Teacher scores: question id -> passage id -> [0, 1]."""


TOGETHER = 1000
"""Entries of the cache that are looked up together."""


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


T = TypeVar("T")


class Table(Mapped[T]):
    """What there is for questions, by their ids."""

    unit = "questions"
    what: str
    """What there is, for its name and messages."""


AnyTable = TypeVar("AnyTable", bound=Table[Any])


class CandidateTable(Table[tuple[Candidate, ...]]):
    """The candidates of each question, by its id."""

    called = "table of candidates"
    what = "candidates"
    parse = staticmethod(as_candidates)

    def value(self, identifier: str, text: str) -> tuple[Candidate, ...]:
        return self.parse(json.loads(text))

    def has(self, identifier: str) -> bool:
        """Whether a question has any."""
        return self.text(identifier) != "[]"


class ScoreTable(Table[dict[str, float]]):
    """The teacher's scores of each question that it has scored, by its id."""

    called = "table of teacher scores"
    what = "teacher scores"
    parse = staticmethod(as_scores)

    def value(self, identifier: str, text: str) -> dict[str, float]:
        return self.parse(json.loads(text))


class QuestionTable(Table[Question]):
    """Questions by id, each a row of a file."""

    called = "table of questions"
    what = "questions"

    def value(self, identifier: str, text: str) -> Question:
        (question,) = take_questions([("", json.loads(text))], need_answers=False)
        return question


def home_of(kind: type[Table[Any]], cache: Path, depends_on: Iterable[str]) -> Path:
    """Where a table lies, named by what it depends on.

    Args:
        kind: of table.
        cache: folder of the cache.
        depends_on: fingerprints of all that its rows depend on.
    """
    digest = hashlib.sha256()
    for part in depends_on:
        digest.update(part.encode())
    return cache / FOLDER / f"{kind.what.replace(' ', '-')}-{digest.hexdigest()[:32]}"


def open_table(kind: type[AnyTable], home: Path, rows: Rows) -> AnyTable:
    """The table of a folder, made from these rows where there is none.

    Beside a cache that can only be read, one that is not there, is damaged or may not be read is
    made in a temporary folder, for this process.

    Raises:
        InputError: it cannot be written; or what ``rows`` raises.
    """
    table = kind()
    try:
        try:
            table.fill(home, rows)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            if isinstance(error, UnusableError):
                warnings.warn(
                    f"{error.strerror}; it is made in a temporary folder, for this process",
                    stacklevel=2,
                )
            temporary = tempfile.mkdtemp(prefix="radio-tables-")
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            table.fill(Path(temporary) / home.name, rows)
    except OSError as error:
        raise InputError(
            f"{home}: cannot be written ({error.strerror or error}); free some space, or give "
            "another folder with --data.init_args.cache_dir, and run the same command again"
        ) from None
    return table


# What is read


def questions_of(path: str | Path, cache: Path, *, need_answers: bool) -> Sequence[Question]:
    """The questions of a JSONL file, each read when it is asked for.

    Args:
        path: the file, as :func:`radio.formats.read_questions` reads it.
        cache: folder of the cache.
        need_answers: whether a question without answers is refused.

    Raises:
        InputError: as of that function.
    """
    path = Path(path)
    check_file(path)

    def found() -> Iterator[Row]:
        place = None
        for place, row in read_rows(path):
            (question,) = take_questions([(place, row)], need_answers=need_answers)
            yield place, question.id, json.dumps(row)
        if place is None:
            raise InputError(f"{path}: the file holds no question")

    home = home_of(QuestionTable, cache, [fingerprint([1, path, need_answers])])
    questions: Sequence[Question] = open_table(QuestionTable, home, found).values()
    return questions


class Examples(Sequence[Example]):
    """The examples of a split, each put together when it is asked for.

    Args:
        questions: of the split.
        candidates: of each question.
        scores: of the teacher, by question id; a question may have none.
        weights: of each question; None where each is 1.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        candidates: Rankings,
        scores: Taught,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.scores = scores
        self._questions = questions
        self._candidates = candidates
        self._weights = weights

    def __len__(self) -> int:
        return len(self._questions)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        question: Question = self._questions[number]
        weight = 1.0 if self._weights is None else self._weights[number]
        candidates = self._candidates[question.id]
        return Example(question, candidates, self.scores.get(question.id), weight)

    def only(self, numbers: Sequence[int]) -> Examples:
        """Those of these numbers, in their order, without weights."""
        return Examples(Picked(self._questions, numbers), self._candidates, self.scores)

    def weighted(self, weights: Iterable[float]) -> Examples:
        """The same with these weights."""
        return Examples(self._questions, self._candidates, self.scores, array("d", weights))


# The cache


def lacking(cache: Cache, questions: Sequence[Question], keys: Iterable[str]) -> Sequence[Question]:
    """The questions for which the cache has no entry of their key."""
    places = array("q")
    for some in batches(enumerate(keys), TOGETHER):
        place_of = {key: place for place, key in some}
        places.extend(place_of[key] for key in cache.missing(list(place_of)))
    return Picked(questions, places)


def stored(
    cache: Cache, questions: Iterable[Question], keys: Iterable[str], parse: Callable[[Any], T]
) -> Iterator[tuple[Question, T | None]]:
    """Each question with what the cache has for its key, or None.

    Raises:
        InputError: an entry is damaged.
    """
    for some in batches(zip(questions, keys, strict=True), TOGETHER):
        entries = cache.get_json([key for _, key in some], parse)
        for question, key in some:
            yield question, entries.get(key)


def rows(
    kind: type[CandidateTable] | type[ScoreTable],
    cache: Cache,
    questions: Iterable[Question],
    keys: Iterable[str],
    split: str,
    whole: int,
) -> Iterator[Row]:
    """The rows of a table, as the cache has them.

    Args:
        kind: of table.
        cache: where they are.
        questions: whose entries are the rows.
        keys: of the entries.
        split: of the questions.
        whole: how many it has.

    Raises:
        Missing: some are not there.
        InputError: an entry is damaged.
    """

    def checked(value: Any) -> Any:
        kind.parse(value)
        return value

    without = []
    for question, value in stored(cache, questions, keys, checked):
        if value is None:
            without.append(question.id)
        else:
            # half a character, which may stand in an id, is no UTF-8
            yield "", question.id, json.dumps(value, separators=(",", ":"))
    if without:
        raise Missing(kind.what, split, without, whole)
