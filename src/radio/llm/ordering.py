"""Models of providers that also answer in batches: at half the price, within a day."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence, Set
from typing import Any

from radio.cache import Cache
from radio.llm.api import ApiModel
from radio.llm.base import Call, Reply, Result
from radio.llm.batches import Batch, BatchApi, Batches, GoneError
from radio.llm.problems import UnreadableError
from radio.ranges import check
from radio.schema import InputError

ENVELOPE = 200
"""Bytes of a request in a batch beside its body, at most: its key and its address."""


class BatchModel(ApiModel):
    """Asks request by request, or in batches. A subclass also implements :meth:`batch_api` and
    :meth:`body`.

    Args:
        model: its name at the provider.
        in_batches: whether calls are ordered in batches.
        batch_size: requests in one batch.
        poll_seconds: time between two looks at a batch.
        kwargs: arguments of ApiModel.
    """

    def __init__(
        self, model: str, in_batches: bool, batch_size: int, poll_seconds: float, **kwargs: Any
    ) -> None:
        check(self, locals())
        super().__init__(model=model, **kwargs)
        self._in_batches = in_batches
        self._batch_size = batch_size
        self._poll_seconds = poll_seconds
        self._progress = ""

    @abstractmethod
    def batch_api(self) -> BatchApi:
        """The provider's interface for batches."""

    @abstractmethod
    def body(self, call: Call) -> dict[str, Any]:
        """The body of a request."""

    def status(self) -> str:
        return super().status() + self._progress

    def _asked(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        if self._in_batches:
            return self._asked_in_batches(calls, cache)
        return super()._asked(calls, cache)

    def _asked_in_batches(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        """Collect the batches in flight, submit what is in none of them, wait for all."""
        api = self.batch_api()
        batches = Batches(api, cache, self.problems, self._tally, self._retries, self._poll_seconds)
        wanted = {call.key: call for call in calls}
        waiting = batches.in_flight(wanted.keys())
        covered = {key for batch in waiting for key in batch.keys}
        affordable, reserved = self._affordable([call for call in calls if call.key not in covered])
        try:
            for orders in self._parts(affordable, api.most_bytes):
                waiting.append(batches.submit(self.model, orders))
            yield from self._wait_for(waiting, batches, wanted)
        finally:
            self._money.release(reserved)
            self._progress = ""

    def _affordable(self, calls: Sequence[Call]) -> tuple[Sequence[Call], float]:
        """As many of these calls as ``max_cost`` allows, and the US dollars set aside for them."""
        reserved = 0.0
        for number, call in enumerate(calls):
            most = self.most(call)
            if not self._money.reserve(most):
                return calls[:number], reserved
            reserved += most
        return calls, reserved

    def _parts(self, calls: Sequence[Call], most_bytes: int) -> Iterator[dict[str, dict[str, Any]]]:
        """Bodies by key, no more in a batch than it may hold."""
        part: dict[str, dict[str, Any]] = {}
        size = 0
        for call in calls:
            body = {**self.body(call), **self.sampling}
            length = len(json.dumps(body)) + ENVELOPE
            if part and (len(part) >= self._batch_size or size + length > most_bytes):
                yield part
                part, size = {}, 0
            part[call.key] = body
            size += length
        if part:
            yield part

    def _wait_for(
        self, waiting: list[Batch], batches: Batches, wanted: dict[str, Call]
    ) -> Iterator[Result]:
        """The results of batches, as each is finished.

        Raises:
            InputError: the server refused one as a whole; said when the others are read.
        """
        total = len(waiting)
        refused: list[str] = []
        while waiting:
            for batch in list(waiting):
                title = f"batch {total - len(waiting) + 1} of {total}"
                try:
                    state = batches.state(batch)
                except GoneError:
                    # results are kept for some weeks only; the next run asks anew
                    yield from self._lost(batch, wanted, set(batch.keys))
                    batches.forget(batch)
                    waiting.remove(batch)
                    continue
                self._progress = f", {title}: {state.done:,} of {len(batch.keys):,}"
                if not state.is_over:
                    continue
                if state.refused:
                    said = self.problems.clean(state.refused)
                    refused.append(f"{self.model}: batch {batch.id} was refused: {said}")
                    batches.forget(batch)
                else:
                    yield from self._collect(batches, batch, wanted)
                    batches.settle(batch, wanted.keys())
                waiting.remove(batch)
            if waiting:
                time.sleep(self._poll_seconds)
        if refused:
            others = f" (and {len(refused) - 1} more batches)" if len(refused) > 1 else ""
            raise InputError(f"{refused[0]}{others}; nothing of it was begun or paid")

    def _collect(self, batches: Batches, batch: Batch, wanted: dict[str, Call]) -> Iterator[Result]:
        """Results of a finished batch, those that were stored before left out."""
        left = set(batch.keys)
        try:
            for key, result in batches.results(batch):
                call = wanted.get(key)
                if call is None or key not in left:
                    continue
                left.remove(key)
                if isinstance(result, Reply):
                    yield call, self.paid(result, self.most(call))
                    continue
                if isinstance(result, UnreadableError):
                    self.charge(result.usage, self.most(call))
                    result = f"unreadable answer: {result}"
                said = self.problems.clean(result)
                yield call, self._tally.lost(call, f"batch {batch.id}: {said}")
        except GoneError:
            yield from self._lost(batch, wanted, left)
        else:
            for key in batch.keys:
                if key in left and (call := wanted.get(key)):
                    yield call, self._tally.lost(call, f"batch {batch.id}: no answer")

    def _lost(self, batch: Batch, wanted: dict[str, Call], left: Set[str]) -> Iterator[Result]:
        """Failures of what the server has no longer."""
        message = f"batch {batch.id} is no longer at the server"
        for key in batch.keys:
            if key in left and (call := wanted.get(key)):
                yield call, self._tally.lost(call, message)
