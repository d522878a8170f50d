"""Answers on their way from the thread that asks to the one that stores, whatever ends a run."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict

from radio.cache import Cache
from radio.llm.base import Call, Reply, Result
from radio.schema import InputError

KIND = "waiting reply"
"""The kind of the cache's entries that stand for replies which a stopped run left."""

PART = 1000
"""Calls whose entries are looked for at once."""


class Arrivals:
    """What has come and is not stored yet: iterate over it in the thread that stores.

    Who asks waits until its answer is stored before it asks again. So never more answers wait than
    calls may be under way, however slow the disk is.

    Args:
        loop: in which calls are asked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Result, asyncio.Event]] = deque()
        self._ready = threading.Semaphore(0)
        self._error: BaseException | None = None

    async def store(self, result: Result) -> None:
        """Hand a result over, and wait until it is stored."""
        stored = asyncio.Event()
        self._waiting.append((result, stored))
        self._ready.release()
        await stored.wait()

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, and why if that is an error."""
        self._error = error
        self._ready.release()

    def __iter__(self) -> Iterator[Result]:
        while True:
            self._ready.acquire()
            if not self._waiting:
                break
            # it stays among those that wait until the caller is back: by then it is stored
            result, stored = self._waiting[0]
            yield result
            self._waiting.popleft()
            with suppress(RuntimeError):  # the loop is over
                self._loop.call_soon_threadsafe(stored.set)
        if self._error is not None:
            raise self._error

    def unstored(self) -> list[Result]:
        """What has come and was not stored; it is given out once."""
        results = []
        while self._waiting:
            results.append(self._waiting.popleft()[0])
        return results


class Stop:
    """Says to all that ask that nothing more is to be begun: one request has shown that no other
    can be answered. Requests under way come to their end, since their answers are paid for."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._idle: set[asyncio.Task[None]] = set()

    def because(self, error: Exception) -> None:
        """Stop all; of several errors the first is the reason."""
        self.error = self.error or error
        for task in self._idle:
            task.cancel()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """For a wait between two requests, which ends as soon as all are to stop."""
        task = asyncio.current_task()
        if self.error is not None or task is None:
            raise asyncio.CancelledError
        self._idle.add(task)
        try:
            yield
        finally:
            self._idle.remove(task)


def keep(results: Sequence[Result], cache: Cache) -> None:
    """Keep the replies among results that nobody stored, for the next run that asks for them."""
    rows = {_name(call): asdict(reply) for call, reply in results if isinstance(reply, Reply)}
    try:
        cache.put_json(KIND, rows)
    except InputError as error:
        warnings.warn(
            f"{len(rows)} answers that had come could not be kept and will be asked for again: "
            f"{error}",
            stacklevel=2,
        )


def kept(calls: Sequence[Call], cache: Cache) -> Iterator[tuple[Call, Reply]]:
    """The replies to these calls that stopped runs left; each is forgotten when the next one is
    taken."""
    for start in range(0, len(calls), PART):
        part = calls[start : start + PART]
        rows = cache.get_json(map(_name, part))
        for call in part:
            if (row := rows.get(_name(call))) is not None:
                yield call, Reply(**row)
                cache.delete([_name(call)])


def _name(call: Call) -> str:
    """The cache's key of a reply that nobody stored: that of the answer is free until then."""
    return f"reply-{call.key}"
