"""What reviewers say of rationales: the records, each person's log of marks, and how far two people
agree."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import combinations
from pathlib import Path
from threading import Lock
from typing import Any

from radio.fingerprints import fingerprint
from radio.schema import InputError

MARKS = ("correct", "partly", "wrong", "leaks")
"""What a reviewer can say of a rationale; ``leaks`` is one that gives the answer away without a
reason for it."""

Key = tuple[str, str]
"""Question id and fingerprint: a mark belongs to one text of the rationale and does not count for
another."""


@dataclass(frozen=True, slots=True)
class ReviewCandidate:
    """A passage as the page shows it; ``score`` is the retriever's, ``teacher`` lies in [0, 1] or
    is unknown."""

    id: str
    title: str
    text: str
    score: float
    teacher: float | None = None


@dataclass(frozen=True)
class ReviewItem:
    """One rationale to review, with its question, its best candidates and the names of the checks
    that it fails."""

    id: str
    question: str
    golden_answers: tuple[str, ...]
    choices: tuple[str, ...]
    rationale: str
    model: str = "recorded"
    failed: tuple[str, ...] = ()
    candidates: tuple[ReviewCandidate, ...] = ()

    @cached_property
    def key(self) -> Key:
        return self.id, fingerprint([self.question, self.golden_answers, self.rationale])


@dataclass(frozen=True, slots=True)
class Mark:
    """What one person says of one rationale; ``mark`` is None where there is only a note, or
    nothing (any more)."""

    mark: str | None = None
    note: str = ""
    time: str = ""
    """UTC, ISO 8601."""


def read_marks(path: Path) -> dict[Key, Mark]:
    """The latest mark of each rationale in one person's file; a last line that a crash cut off is
    ignored.

    Raises:
        InputError: another line is not a mark.
    """
    marks: dict[Key, Mark] = {}
    # an editor may have put a mark of the byte order before the first line
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            mark, *texts = (row[name] for name in ("mark", "id", "rationale", "note", "time"))
            if mark not in (None, *MARKS) or not all(isinstance(text, str) for text in texts):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            # without a newline after it
            if number == len(lines):
                break
            raise InputError(
                f"{path}:{number}: found {line[:80]!r}, expected a JSON object with id, rationale, "
                f"note and time (strings) and mark ({', '.join(MARKS)} or null)"
            ) from None
        identifier, text, note, time = texts
        marks[identifier, text] = Mark(mark, note, time)
    return marks


class Reviews:
    """One person's marks, in ``folder/ANNOTATOR.jsonl``: rows are only added, the latest of a
    rationale counts.

    Rows are ``{"id", "rationale", "mark", "note", "annotator", "time"}`` with the fingerprint of
    the rationale; the row of a mark that was taken back has null for it.

    Raises:
        InputError: the name is no plain file name, the file is damaged, or the same person reviews
            there already.
    """

    def __init__(self, folder: Path, annotator: str) -> None:
        from filelock import FileLock, Timeout

        # starts with a letter or digit, so that it can be neither a hidden file nor an option of a
        # command
        if not re.fullmatch(r"\w[\w.-]{0,99}", annotator):
            raise InputError(
                f"annotator: found {annotator!r}, expected a plain name of at most 100 letters, "
                "digits, '_', '-' or '.'"
            )
        self.folder, self.annotator = folder, annotator
        self.path = folder / f"{annotator}.jsonl"
        self._lock = Lock()
        self._history: list[tuple[Key, Mark]] = []
        self._claim = FileLock(folder / f".{annotator}.lock", timeout=0)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._claim.acquire()
        except Timeout:
            raise InputError(
                f"{self.path}: {annotator!r} is reviewing there already; end that review first"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror}), expected a folder for marks"
            ) from None
        try:
            # unbuffered: a row is handed over in one write, or not at all
            self._file = self.path.open("ab", buffering=0)
            self._repair()
            self.marks = read_marks(self.path)
        except OSError as error:
            self._claim.release()
            raise InputError(f"{self.path}: cannot be written ({error.strerror})") from None
        except InputError:
            self.close()
            raise

    def _repair(self) -> None:
        """End the last line, so that the next row starts on a new one; what a crash cut off
        goes."""
        data = self.path.read_bytes()
        whole, newline, tail = data.rpartition(b"\n")
        if not tail:
            return
        try:
            json.loads(tail)
            self._file.write(b"\n")
        except ValueError:
            self._file.truncate(len(whole + newline))

    def put(self, key: Key, mark: str | None, note: str = "") -> Mark:
        """Set the mark of a rationale; it is on disk when this returns. The same mark again adds no
        row."""
        with self._lock:
            before = self.marks.get(key, Mark())
            if (before.mark, before.note) == (mark, note):
                return before
            self._history.append((key, before))
            try:
                return self._write(key, mark, note)
            except OSError:
                self._history.pop()
                raise

    def undo(self) -> Key | None:
        """Put back what was there before the last change of this session; returns whose, None if
        there was none."""
        with self._lock:
            if not self._history:
                return None
            key, before = self._history[-1]
            self._write(key, before.mark, before.note)
            self._history.pop()
            return key

    def _write(self, key: Key, mark: str | None, note: str) -> Mark:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        row = {
            "id": key[0],
            "rationale": key[1],
            "mark": mark,
            "note": note,
            "annotator": self.annotator,
            "time": time,
        }
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError("the disk is full")
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)
            raise
        self.marks[key] = Mark(mark, note, time)
        return self.marks[key]

    def everyone(self) -> dict[str, dict[Key, Mark]]:
        """The marks of all who review in the folder, by name."""
        everyone = {}
        for path in self.folder.glob("*.jsonl"):
            if path != self.path:
                everyone[path.stem] = read_marks(path)
        everyone[self.annotator] = self.marks
        return dict(sorted(everyone.items()))

    def close(self) -> None:
        with self._lock:
            self._file.close()
            self._claim.release()


def agreement(
    items: Sequence[ReviewItem], everyone: Mapping[str, Mapping[Key, Mark]]
) -> dict[str, Any]:
    """How far the reviewers agree about these items.

    Returns:
        ``marked``: name -> number of marks; ``pairs``: for each two people with items in common
        ``annotators``, ``common``, ``agree`` (share, in [0, 1]) and Cohen's ``kappa`` (None where
        both know one and the same mark only, since chance alone would agree as well);
        ``disagreements``: ``index``, ``id``, ``question``, ``marks`` by name.
    """
    given = {name: _marked(items, marks) for name, marks in everyone.items()}
    pairs = []
    for first, second in combinations(given, 2):
        common = sorted(given[first].keys() & given[second].keys())
        if common:
            ones = [given[first][index] for index in common]
            others = [given[second][index] for index in common]
            pairs.append({"annotators": [first, second], **_pair(ones, others)})
    disagreements = []
    for index, item in enumerate(items):
        marks = {name: marked[index] for name, marked in given.items() if index in marked}
        if len(set(marks.values())) > 1:
            disagreements.append(
                {"index": index, "id": item.id, "question": item.question, "marks": marks}
            )
    return {
        "marked": {name: len(marked) for name, marked in given.items()},
        "pairs": pairs,
        "disagreements": disagreements,
    }


def _marked(items: Sequence[ReviewItem], marks: Mapping[Key, Mark]) -> dict[int, str]:
    """Index of an item -> what one person says of it; those without a mark are left out."""
    marked = {}
    for index, item in enumerate(items):
        mark = marks.get(item.key, Mark()).mark
        if mark:
            marked[index] = mark
    return marked


def _pair(ones: Sequence[str], others: Sequence[str]) -> dict[str, Any]:
    """How far two people agree, whose marks of the same items these are."""
    from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

    same = sum(one == other for one, other in zip(ones, others, strict=True))
    # of one and the same mark only, chance alone would agree as well
    kappa = float(cohen_kappa_score(ones, others)) if len({*ones, *others}) > 1 else None
    return {"common": len(ones), "agree": same / len(ones), "kappa": kappa}
