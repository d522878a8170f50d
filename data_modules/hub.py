"""Splits of datasets on the hub: what was read once is kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from radio.fingerprints import fingerprint
from radio.lines import atomic_write, read_rows
from radio.schema import InputError

Row = dict[str, Any]


@dataclass(frozen=True)
class HubSplit:
    """Some rows of a split.

    Args:
        repository: on the hub, or a folder in the hub's layout.
        commit: which state of it.
        dataset: configuration in the repository.
        split: name of the split there.
        start: first row, from 0.
        end: row after the last one; None is the end of the split.
    """

    repository: str
    commit: str
    dataset: str
    split: str
    start: int
    end: int | None

    def file(self, folder: Path) -> Path:
        """Where the rows are kept."""
        return folder / f"{fingerprint(asdict(self))[:32]}.jsonl"


@dataclass(frozen=True)
class StoredSplit:
    """What was read of a :class:`HubSplit`: its first rows, or all of them."""

    rows: list[Row]
    whole: bool
    """Whether these are all."""
    splits: list[str]
    """Splits that the dataset has; where the one that was asked for is not among them, there are no
    rows."""

    def placed(self, place: str, start: int) -> Iterator[tuple[str, Row]]:
        """Each row with its place for messages, counted from 1."""
        for number, row in enumerate(self.rows, start + 1):
            yield f"{place}: row {number}", row


def stored(wanted: HubSplit, folder: Path) -> StoredSplit | None:
    """What the folder has of a split, if anything.

    Raises:
        InputError: the file is damaged.
    """
    path = wanted.file(folder)
    return _read(path) if path.is_file() else None


def store(found: StoredSplit, wanted: HubSplit, folder: Path) -> StoredSplit:
    """Keep what was read, in the place of what was there; returns it as later runs will read it."""
    path = wanted.file(folder)
    head = {**asdict(wanted), "whole": found.whole, "splits": found.splits}
    with atomic_write(path) as file:
        for row in (head, *found.rows):
            file.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")
    return _read(path)


def _read(path: Path) -> StoredSplit:
    lines = read_rows(path)
    try:
        _, head = next(lines)
        whole, splits = head["whole"], head["splits"]
    except (StopIteration, KeyError):
        raise InputError(f"{path}: the file is damaged; remove it, to have it read anew") from None
    return StoredSplit([row for _, row in lines], whole, splits)


def _plain(value: Any) -> Any:
    """Dates, and numbers and arrays of numpy, as :func:`radio.fingerprints.fingerprint` takes
    them."""
    return value.isoformat() if hasattr(value, "isoformat") else value.tolist()


def download(wanted: HubSplit, revision: str, enough: Callable[[Row, int], bool]) -> StoredSplit:
    """Read a split from the hub, row by row, until there are enough.

    Args:
        wanted: which split.
        revision: what the hub's client calls its state.
        enough: is told each row with its number, from 1, and says whether it is the last one that
            is needed.
    """
    from datasets import get_dataset_split_names, load_dataset

    splits = get_dataset_split_names(wanted.repository, wanted.dataset, revision=revision)
    if wanted.split not in splits:
        return StoredSplit([], True, splits)
    stream: Iterator[Row] = iter(
        load_dataset(
            wanted.repository,
            wanted.dataset,
            split=wanted.split,
            revision=revision,
            streaming=True,
        )
    )
    rows = []
    for number, row in enumerate(islice(stream, wanted.start, wanted.end), wanted.start + 1):
        rows.append(row)
        if enough(row, number):
            return StoredSplit(rows, False, splits)
    return StoredSplit(rows, True, splits)


def state_of(folder: Path) -> str:
    """What changes when a file of a local repository does."""
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".git" not in path.parts:
            status = path.stat()
            files.append([str(path.relative_to(folder)), status.st_size, status.st_mtime_ns])
    return fingerprint(files)


def unreachable(error: BaseException | None) -> bool:
    """Whether the hub could not be asked, as opposed to what it has answered."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False
