"""Batches at Anthropic: submitted once, found again after a crash, read to the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from radio.cache import Cache
from radio.llm.problems import Problems, read_reply
from radio.llm.tally import Tally
from radio.llm.tries import Tries
from radio.schema import InputError

T = TypeVar("T")

KIND = "batch"
"""The kind of the cache's entries that stand for batches in flight."""


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


class Batches:
    """The batches of a cache at a server.

    Args:
        client: the SDK's synchronous one, which itself tries nothing again.
        cache: where batches in flight are noted.
        problems: who reads the exceptions of the SDK.
        tally: where further tries are counted.
        retries: further tries of a request.
        poll_seconds: time between two looks at a batch.
    """

    def __init__(
        self,
        client: Any,
        cache: Cache,
        problems: Problems,
        tally: Tally,
        retries: int,
        poll_seconds: float,
    ) -> None:
        self._api = client.messages.batches
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
            batch = Batch(name, row["id"], row["keys"], row.get("model", ""), row["time"])
            batches.append(batch)
        return batches

    def _note(self, batch: Batch) -> None:
        row = {"id": batch.id, "keys": batch.keys, "model": batch.model, "time": batch.time}
        self._cache.put_json(KIND, {batch.name: row})

    def forget(self, batch: Batch) -> None:
        """Remove the note: all results are stored."""
        self._cache.delete([batch.name])

    # Requests

    def submit(self, model: str, orders: Mapping[str, Mapping[str, Any]]) -> Batch:
        """Submit a batch of bodies by cache key. Noted beforehand too: killed in between, the next
        run finds it at the server."""
        now = datetime.now(UTC).isoformat()
        batch = Batch(f"batch-{uuid.uuid4().hex}", None, list(orders), model, now)
        self._note(batch)
        # the key is a valid custom_id: 64 characters
        requests = [{"custom_id": key, "params": body} for key, body in orders.items()]
        batch.id = self._patiently(
            lambda: read_reply(self._api.create(requests=requests), "id"), paid=True
        )
        self._note(batch)
        return batch

    def state(self, batch: Batch) -> Any:
        """What the server says of a batch.

        Raises:
            GoneError: it knows no such batch.
        """
        return self._patiently(partial(self._retrieve, batch.id))

    def results(self, batch: Batch) -> Iterator[Any]:
        """Results of a finished batch, each once, however often the connection breaks."""
        seen: set[str] = set()
        tries = Tries(self._retries)
        while True:
            try:
                for result in self._api.results(batch.id):
                    if result.custom_id not in seen:
                        seen.add(result.custom_id)
                        yield result
                return
            except self._expected as error:
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
        # clocks differ; the number of requests and, once they are there, the results say whether it
        # is the one
        earliest = datetime.fromisoformat(lost.time) - timedelta(minutes=5)
        for found in self._patiently(lambda: self._since(earliest)):
            counts = found.request_counts
            done = counts.succeeded + counts.errored + counts.canceled + counts.expired
            if found.id in known or counts.processing + done != len(lost.keys):
                continue
            try:
                while found.processing_status != "ended":
                    time.sleep(self._poll_seconds)
                    found = self._patiently(partial(self._retrieve, found.id))
                first = self._patiently(partial(self._first_result, found.id))
            except GoneError:
                continue
            if first.custom_id in lost.keys:
                return str(found.id)
        return None

    def _since(self, earliest: datetime) -> list[Any]:
        """The batches at the server that were made after a time; it lists the newest first."""
        listed = self._api.list(limit=100)
        return list(takewhile(lambda batch: batch.created_at >= earliest, listed))

    def _retrieve(self, identifier: str | None) -> Any:
        batch = self._api.retrieve(identifier)
        read_reply(batch, "request_counts")
        return batch

    def _first_result(self, identifier: str) -> Any:
        return next(iter(self._api.results(identifier)))

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

    def _patiently(self, request: Callable[[], T], *, paid: bool = False) -> T:
        """The result of a request, after as many tries as it takes; one that is ``paid`` is not
        repeated if it may have been accepted.

        Raises:
            GoneError: the server knows no such batch.
            InputError: there is no result.
        """
        tries = Tries(self._retries)
        while True:
            try:
                result = request()
                self._reached = True
                return result
            except self._expected as error:
                if self._problems.is_missing(error) and not paid:
                    raise GoneError from None
                problem = self._problems.read(error)
                may_be_accepted = not self._problems.is_refusal(error) and not problem.unreachable
            if paid and may_be_accepted:
                raise InputError(f"{problem.message}; the next run looks whether it was accepted")
            self._wait(tries.wait(problem, reached=self._reached))
