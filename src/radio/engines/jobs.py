"""A work under way: which of its batches are computed, here or by an interrupted command before."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from radio.engines.base import Batch, Row, Work
from radio.engines.shards import Shards, read, write


class Handed(NamedTuple):
    """A batch that was handed out."""

    name: str
    """Of the file with the rows that are computed for it; empty if there is none."""
    old: tuple[str, ...] = ()
    """Files of an interrupted command that have others of its rows."""
    keys: tuple[str, ...] = ()
    """Of its rows, where they are spread over several files."""


class Job:
    """A work, its files, and what an interrupted command has left of them.

    Args:
        work: what is done.
        shards: its files.
    """

    def __init__(self, work: Work, shards: Shards) -> None:
        self.work = work
        self.shards = shards
        self.title = work.title
        self.there: set[str] = set()
        """Names of the batches that are computed."""
        self._old: dict[str, str] | None = None
        """The file of each row that an interrupted command has computed, and nobody taken."""
        self._used: set[str] = set()
        self._waiting: Counter[str] = Counter()
        """How many batches that were handed out have the file of a name: the same texts may come
        again."""

    def look(self) -> None:
        """See which batches are there."""
        self.there = self.shards.there()
        if self._old is None:
            self._old = {}
            for name in sorted(self.there):
                self._old |= dict.fromkeys(read(self.shards.done(name)), name)
            # of the others, all rows stand in these too, and nobody would ask for them
            for name in self.there - set(self._old.values()):
                self._forget(name)

    def hand_out(self, batch: Batch) -> Handed:
        """Write what is left of a batch, for those that compute it."""
        keys, old = tuple(batch), self._old or {}
        if not keys:
            return Handed("")
        name = self.shards.name(keys)
        files: tuple[str, ...] = ()
        if name in self.there:
            # all of it: the file is forgotten then, and others that ask for its rows have none
            self._used.update(old.pop(key) for key in keys if key in old)
        else:
            rest = {key: row for key, row in batch.items() if key not in old}
            files = tuple(dict.fromkeys(old.pop(key) for key in keys if key in old))
            if files:
                name = self.shards.name(list(rest)) if rest else ""
                self._used.update(files)
            if rest and name not in self.there:
                write(self.shards.todo(name), rest)
        if name:
            self._waiting[name] += 1
        return Handed(name, files, keys if files else ())

    def missing(self, waiting: Iterable[Handed]) -> list[str]:
        """Names of the batches that are still to be computed, each once."""
        names = (handed.name for handed in waiting if not self._is_done(handed))
        return list(dict.fromkeys(names))

    def _is_done(self, handed: Handed) -> bool:
        return not handed.name or handed.name in self.there

    def taken(self, waiting: deque[Handed]) -> Iterator[dict[str, Row]]:
        """The results of the first batches, as far as they are there; a file that no other batch
        waits for is forgotten when the next result is asked for."""
        while waiting and self._is_done(waiting[0]):
            handed = waiting.popleft()
            yield self._results(handed)
            if handed.name:
                self._take(handed.name)

    def _take(self, name: str) -> None:
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name]
            self._forget(name)

    def _forget(self, name: str) -> None:
        self.there.discard(name)
        self.shards.forget(name)

    def _results(self, handed: Handed) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for name in (*handed.old, handed.name):
            if name:
                found |= read(self.shards.done(name))
        return {key: found[key] for key in handed.keys} if handed.keys else found

    def close(self) -> None:
        """Forget what an interrupted command had left and is all taken over, and what machines that
        were lost have half written."""
        for name in self._used - set((self._old or {}).values()):
            self.shards.forget(name)
        self.shards.clear()
