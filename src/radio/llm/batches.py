"""Batches at a provider: submitted once, found again after a crash, read to the end."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from radio.cache import Cache
from radio.llm.base import Reply
from radio.llm.problems import Problems, UnreadableError
from radio.llm.tally import Tally
from radio.llm.tries import Tries
from radio.schema import InputError

T = TypeVar("T")

KIND = "batch"
"""The kind of the cache's entries that stand for batches in flight."""

Orders = Mapping[str, Mapping[str, Any]]
"""Bodies of requests by cache key, which is the name of the request in the batch."""


class GoneError(Exception):
    """The server knows no such batch."""


@dataclass(slots=True)
class Batch:
    """A batch as it is noted in the cache."""

    name: str
    """Key of its entry there."""
    id: str | None
    """Its id at the server; None as long as the server has not said that it took it."""
    keys: list[str]
    """Cache keys of its calls."""
    model: str
    time: str
    """When it was about to be submitted, in ISO format."""
    file: str | None = None
    """Id of the file that holds its requests, where the interface has such files."""


@dataclass(frozen=True, slots=True)
class State:
    """What a server says of a batch."""

    id: str
    size: int
    """Requests in it."""
    done: int
    """How many of them are over, with or without an answer."""
    created: datetime
    is_over: bool
    file: str | None = None
    """Id of the file that holds its requests."""
    refused: str = ""
    """Why the server began none of its requests."""


class BatchApi(ABC):
    """A provider's interface for batches. Its methods raise what the SDK raises."""

    most_bytes: int
    """Limit of the requests of one batch."""

    def upload(self, orders: Orders) -> str | None:
        """Send the requests in a file, which costs nothing yet; its id, or None where
        :meth:`create` sends them."""
        return None

    @abstractmethod
    def create(self, orders: Orders, file: str | None) -> str:
        """Submit a batch; its id."""

    @abstractmethod
    def state(self, identifier: str) -> State:
        """How a batch is doing."""

    @abstractmethod
    def newest(self) -> Iterator[State]:
        """All batches of the account, the newest first."""

    @abstractmethod
    def results(self, identifier: str) -> Iterator[tuple[str, Reply | UnreadableError | str]]:
        """Each request's key with its reply, an answer that cannot be read, or what went wrong, in
        any order; a request that was not begun may be missing."""


class Batches:
    """The batches of a cache at a server.

    Args:
        api: the provider's interface.
        cache: where batches in flight are noted.
        problems: who reads the exceptions of the SDK.
        tally: where further tries are counted.
        retries: further tries of a request.
        poll_seconds: time between two looks at a batch.
    """

    def __init__(
        self,
        api: BatchApi,
        cache: Cache,
        problems: Problems,
        tally: Tally,
        retries: int,
        poll_seconds: float,
    ) -> None:
        self._api = api
        self._cache = cache
        self._problems = problems
        self._tally = tally
        self._retries = retries
        self._poll_seconds = poll_seconds
        self._reached = False

    # Notes in the cache

    def _noted(self) -> list[Batch]:
        batches = []
        for name, row in self._cache.items_json(KIND):
            model, file = row.get("model", ""), row.get("file")
            batches.append(Batch(name, row["id"], row["keys"], model, row["time"], file))
        return batches

    def _note(self, batch: Batch) -> None:
        row = {"id": batch.id, "keys": batch.keys, "model": batch.model, "time": batch.time}
        if batch.file is not None:
            row["file"] = batch.file
        self._cache.put_json(KIND, {batch.name: row})

    def settle(self, batch: Batch, wanted: Set[str]) -> None:
        """Remove the note, as all wanted results are stored; what only another run asks for stays
        in it, since it is paid for."""
        others = self._cache.missing([key for key in batch.keys if key not in wanted])
        if others:
            batch.keys = others
            self._note(batch)
        else:
            self.forget(batch)

    def forget(self, batch: Batch) -> None:
        """Remove the note: there is nothing to come."""
        self._cache.delete([batch.name])

    # Requests

    def submit(self, model: str, orders: Orders) -> Batch:
        """Submit a batch. Noted beforehand too: killed in between, the next run finds it at the
        server.

        Raises:
            InputError: the server does not take it, or it is not known whether it did.
        """
        file = self._patiently(partial(self._api.upload, orders))
        now = datetime.now(UTC).isoformat()
        batch = Batch(f"batch-{uuid.uuid4().hex}", None, list(orders), model, now, file)
        self._note(batch)
        batch.id = self._patiently(partial(self._api.create, orders, file), paid=True)
        self._note(batch)
        return batch

    def state(self, batch: Batch) -> State:
        """What the server says of a batch that it took.

        Raises:
            GoneError: it knows no such batch.
        """
        return self._known(partial(self._api.state, str(batch.id)))

    def results(self, batch: Batch) -> Iterator[tuple[str, Reply | UnreadableError | str]]:
        """Results of a finished batch, each once, however often the connection breaks.

        Raises:
            GoneError: the server keeps them no longer.
        """
        seen: set[str] = set()
        tries = Tries(self._retries)
        while True:
            try:
                for key, result in self._api.results(str(batch.id)):
                    if key not in seen:
                        seen.add(key)
                        yield key, result
                return
            except self._expected as error:
                if self._problems.is_missing(error):
                    raise GoneError from None
                problem = self._problems.read(error)
            # a page of something else has no result at all
            self._wait(tries.wait(problem, reached=bool(seen)))

    # After a crash

    def in_flight(self, wanted: Set[str]) -> list[Batch]:
        """Batches that were submitted for these keys; one whose answer was never seen is looked
        for."""
        waiting = []
        for batch in self._noted():
            if not wanted & set(batch.keys):
                # of other calls, which may still be waited for
                if not self._cache.missing(batch.keys):
                    self.forget(batch)
                continue
            if batch.id is None:
                batch.id = self._find(batch)
                if batch.id is None:
                    self.forget(batch)
                    continue
                self._note(batch)
            waiting.append(batch)
        return waiting

    def _find(self, lost: Batch) -> str | None:
        """The id of a batch that the server took just before this process was killed; None if it
        did not."""
        known = {batch.id for batch in self._noted()}
        # clocks differ; the file of the requests says whether it is the one, or else their number
        # and, once they are there, the results
        earliest = datetime.fromisoformat(lost.time) - timedelta(minutes=5)
        for found in self._patiently(partial(self._since, earliest)):
            if found.id in known:
                continue
            if lost.file is not None:
                if found.file == lost.file:
                    return found.id
            elif found.size == len(lost.keys) and self._first_key(found) in lost.keys:
                return found.id
        return None

    def _since(self, earliest: datetime) -> list[State]:
        """The batches at the server that were made after a time."""
        return list(takewhile(lambda state: state.created >= earliest, self._api.newest()))

    def _first_key(self, state: State) -> str | None:
        """The key of the first result of a batch, once there is one; None if it is gone."""
        try:
            while not state.is_over:
                time.sleep(self._poll_seconds)
                state = self._known(partial(self._api.state, state.id))
            return self._known(lambda: next(iter(self._api.results(state.id)))[0])
        except GoneError:
            return None

    # Patience

    @property
    def _expected(self) -> tuple[type[Exception], ...]:
        """What a request may raise, and the reading of a stream of results, whose errors the SDK
        does not wrap."""
        import httpx2

        return (*self._problems.expected, httpx2.HTTPError)

    def _wait(self, seconds: float) -> None:
        self._tally.retried += 1
        time.sleep(seconds)

    def _known(self, request: Callable[[], T]) -> T:
        """The result of a request about a batch, after as many tries as it takes.

        Raises:
            GoneError: the server knows no such batch.
        """

        def asked() -> T:
            try:
                return request()
            except self._expected as error:
                if self._problems.is_missing(error):
                    raise GoneError from None
                raise

        return self._patiently(asked)

    def _patiently(self, request: Callable[[], T], *, paid: bool = False) -> T:
        """The result of a request, after as many tries as it takes; one that is ``paid`` is not
        repeated if it may have been accepted.

        Raises:
            InputError: there is no result.
        """
        tries = Tries(self._retries)
        while True:
            try:
                result = request()
                self._reached = True
                return result
            except self._expected as error:
                problem = self._problems.read(error)
                may_be_accepted = not self._problems.is_refusal(error) and not problem.unreachable
            if paid and may_be_accepted:
                raise InputError(f"{problem.message}; the next run looks whether it was accepted")
            self._wait(tries.wait(problem, reached=self._reached))
