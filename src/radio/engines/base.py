"""What an engine is: batches go in, their results come out, and a model is held in between.

All that embeds, scores, writes or generates in batches hands them to :func:`current`; which engine
that is makes no difference to any result, and is part of no cache key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""What a model is given of one thing, or makes of it: numbers, texts, bytes, and lists of these, by
name. All rows of a batch have the same names."""

Batch = Mapping[str, Row]
"""Rows that are computed together, by keys of their content."""


class Work(ABC):
    """What is done with batches by whoever holds a model.

    It loads the model when it is first called, and travels without it: an engine may copy it to
    other machines.
    """

    title = ""
    """What it does, for people."""

    @property
    @abstractmethod
    def identity(self) -> list[Any]:
        """All that a result depends on beside its batch, JSON-like; weights count by their
        content. It is asked again on another machine, whose files may be other ones."""

    @abstractmethod
    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        """A result for each row of a batch."""

    def here(self, batches: Iterator[Batch]) -> Iterator[dict[str, Row]]:
        """The results of each batch in this process, in order."""
        for batch in batches:
            made = self(list(batch.values())) if batch else []
            yield dict(zip(batch, made, strict=True))


class Engine(ABC):
    """Has work done. A subclass implements :meth:`map`."""

    elsewhere = True
    """Whether others than this process hold the models: then none is loaded here."""

    @abstractmethod
    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        """The results of each batch, in order, by the keys of its rows; of an empty one there are
        none.

        Batches are asked for while earlier ones are computed. What was yielded is stored by who
        asks for the next: an engine may forget it then.

        Raises:
            InputError: it cannot be done; says why, and where.
        """

    @contextmanager
    def at_work(self, folder: Path) -> Iterator[None]:
        """Make this the engine of what is computed meanwhile.

        Args:
            folder: of the cache; what an engine keeps on disk may lie there.
        """
        before = _CURRENT.set(self)
        try:
            with self.started(folder):
                yield
        finally:
            _CURRENT.reset(before)

    @contextmanager
    def started(self, folder: Path) -> Iterator[None]:
        """Hold ready what :meth:`map` needs, with the argument of :meth:`at_work` (optional)."""
        yield


class InProcess(Engine):
    """Computes in this process, a batch after the other: the default."""

    elsewhere = False

    def map(self, work: Work, batches: Iterable[Batch]) -> Iterator[dict[str, Row]]:
        return work.here(iter(batches))


_CURRENT: ContextVar[Engine] = ContextVar("engine", default=InProcess())  # noqa: B039


def current() -> Engine:
    """The engine that is at work; without one everything is computed in this process."""
    return _CURRENT.get()
