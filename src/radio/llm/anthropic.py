"""Rationales from Anthropic's models: messages one by one, or the Message Batches API at half the
price."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from types import ModuleType
from typing import Any, Literal, TypeVar

from radio.cache import Cache
from radio.llm.api import ApiWriter, Reply, backoff, read_reply
from radio.ranges import check
from radio.rationales.base import Failure, Request
from radio.schema import InputError, Rationale

T = TypeVar("T")

CACHEABLE = 1024
"""Tokens that a fixed prefix must have to be cached at all (some models ask for more, and then
ignore the mark)."""

BATCH = "batch"
"""The kind of the cache's entries that stand for batches in flight."""


class _GoneError(Exception):
    """The server knows no such batch."""


class AnthropicWriter(ApiWriter):
    """Asks Claude through the official SDK; the key comes from ``ANTHROPIC_API_KEY``.

    With ``mode: batches`` requests go to the Message Batches API, which answers within a day. A
    batch in flight is noted in the cache, before and after it is submitted: a later run waits for
    it instead of submitting it again.

    Args:
        mode: ``messages`` or ``batches``.
        batch_size: requests in one batch (the API takes 100,000).
        poll_seconds: time between two looks at a batch.
        kwargs: arguments of ApiWriter.
    """

    identity = "AnthropicWriter"
    key_name = "ANTHROPIC_API_KEY"
    url_name = "ANTHROPIC_BASE_URL"

    def __init__(
        self,
        model: str = "claude-haiku-4-5",
        mode: Literal["messages", "batches"] = "messages",
        batch_size: int = 10_000,
        poll_seconds: float = 30.0,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        super().__init__(model=model, **kwargs)
        self._batch = mode == "batches"
        self._batch_size = batch_size
        self._poll_seconds = poll_seconds
        self._progress = ""
        self._reached = False

    @property
    def sdk(self) -> ModuleType:
        import anthropic

        return anthropic

    def _client(self, kind: Callable[..., T], **options: Any) -> T:
        limits = self._time_limits
        return kind(
            api_key=self.api_key(),
            base_url=self._base_url,
            max_retries=0,
            timeout=limits,
            **options,
        )

    def connect(self) -> Any:
        import anthropic

        # aiohttp costs half the processor time of the SDK's default transport
        return self._client(anthropic.AsyncAnthropic, http_client=anthropic.DefaultAioHttpClient())

    def body(self, text: str) -> dict[str, Any]:
        """The body of a message request; a long fixed prefix is marked for the provider's prompt
        cache."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._max_tokens,
            "messages": [{"role": "user", "content": text}],
        }
        if system := self._template.system:
            part: dict[str, Any] = {"type": "text", "text": system}
            if len(system) * self._tokens_per_character >= CACHEABLE:
                part["cache_control"] = {"type": "ephemeral"}
            body["system"] = [part]
        return body

    async def ask(self, client: Any, text: str) -> Reply:
        # not every model takes sampling settings, so the SDK has no arguments for them
        message = await client.messages.create(**self.body(text), extra_body=self.sampling or None)
        return reply(message)

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], str]:
        client = self._client(self.sdk.Anthropic)
        counts = []
        try:
            for text in texts:
                body = self.body(text)
                body.pop("max_tokens")
                counts.append(read_reply(client.messages.count_tokens(**body), "input_tokens"))
        except (self.sdk.APIError, AttributeError, ValueError) as error:
            problem = self.problem(error)
            if (problem.fatal and getattr(error, "status_code", 0) != 404) or problem.unreachable:
                raise InputError(problem.message) from None
            system = len(self._template.system)
            guess = [round((len(text) + system) * self._tokens_per_character) for text in texts]
            return (
                guess,
                f"{1 / self._tokens_per_character:g} characters a token: {problem.message}",
            )
        return counts, f"counted by the API on {len(texts)}"

    def status(self) -> str:
        return super().status() + self._progress

    # Batches

    def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        return self._batches(requests, cache) if self._batch else super().write(requests, cache)

    def _batches(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale | Failure]:
        """Collect the batches in flight, submit what is in none of them, wait for all."""
        client = self._client(self.sdk.Anthropic)
        wanted = {request.key: request for request in requests}
        waiting = self._in_flight(client, cache, wanted)
        covered = {key for row in waiting.values() for key in row["keys"]}
        left = [request for request in requests if request.key not in covered]
        for start in range(0, len(left), self._batch_size):
            part = self._affordable(left[start : start + self._batch_size])
            if part:
                name, row = self._submit(client, cache, part)
                waiting[name] = row
            if self._stopped:
                break
        total = len(waiting)
        while waiting:
            for name, row in list(waiting.items()):
                try:
                    batch = self._patiently(partial(_retrieve, client, row["id"]))
                except _GoneError:
                    # results are kept for some weeks only; the next run asks anew
                    message = f"batch {row['id']} is no longer at the server"
                    yield from (
                        self._lost(wanted[key], message) for key in row["keys"] if key in wanted
                    )
                    cache.delete([name])
                    del waiting[name]
                    continue
                counts = batch.request_counts
                done = counts.succeeded + counts.errored + counts.canceled + counts.expired
                self._progress = f", batch {total - len(waiting) + 1} of {total}: {done:,} of {len(row['keys']):,}"
                if batch.processing_status == "ended":
                    yield from self._collect(client, row, wanted)
                    cache.delete([name])
                    del waiting[name]
            if waiting:
                time.sleep(self._poll_seconds)
        self._progress = ""

    def _affordable(self, part: list[Request]) -> list[Request]:
        """As many of these requests as ``max_cost`` allows."""
        if self._max_cost is None:
            return part
        for number, request in enumerate(part):
            most = self._most(self._text(request), batch=True)
            if self._spent + self._reserved + most > self._max_cost:
                self._stopped = True
                return part[:number]
            self._reserved += most
        return part

    def _submit(self, client: Any, cache: Cache, part: list[Request]) -> tuple[str, dict[str, Any]]:
        """Submit a batch. Noted beforehand too: killed in between, the next run finds it at the
        server."""
        name = f"batch-{uuid.uuid4().hex}"
        row = {
            "id": None,
            "keys": [r.key for r in part],
            "model": self.model,
            "time": datetime.now(UTC).isoformat(),
        }
        cache.put_json(BATCH, {name: row})
        # the key is a valid custom_id: 64 characters
        orders = [
            {"custom_id": r.key, "params": {**self.body(self._text(r)), **self.sampling}}
            for r in part
        ]
        # tried again only when the server has surely not taken it
        row["id"] = self._patiently(
            lambda: read_reply(client.messages.batches.create(requests=orders), "id"), paid=True
        )
        cache.put_json(BATCH, {name: row})
        return name, row

    def _in_flight(
        self, client: Any, cache: Cache, wanted: dict[str, Request]
    ) -> dict[str, dict[str, Any]]:
        """Batches that were submitted for these requests; one whose answer was never seen is looked
        for."""
        waiting = {}
        for name, row in cache.items_json(BATCH):
            if not wanted.keys() & set(row["keys"]):
                if not cache.missing(row["keys"]):
                    cache.delete([name])
                continue
            if row["id"] is None:
                known = {other["id"] for _, other in cache.items_json(BATCH)}
                row["id"] = self._find(client, row, known)
                if row["id"] is None:
                    cache.delete([name])
                    continue
                cache.put_json(BATCH, {name: row})
            waiting[name] = row
        return waiting

    def _find(self, client: Any, row: dict[str, Any], known: set[str | None]) -> str | None:
        """The id of a batch that the server took just before this process was killed; None if it
        did not."""
        # clocks differ; the number of requests and, once they are there, the results say whether it
        # is the one
        earliest = datetime.fromisoformat(row["time"]) - timedelta(minutes=5)
        for batch in self._patiently(lambda: _since(client, earliest)):
            counts = batch.request_counts
            size = (
                counts.processing
                + counts.succeeded
                + counts.errored
                + counts.canceled
                + counts.expired
            )
            if batch.id in known or size != len(row["keys"]):
                continue
            try:
                while batch.processing_status != "ended":
                    time.sleep(self._poll_seconds)
                    batch = self._patiently(partial(_retrieve, client, batch.id))
                first = self._patiently(partial(_first_result, client, batch.id))
            except _GoneError:
                continue
            if first.custom_id in row["keys"]:
                return str(batch.id)
        return None

    def _collect(
        self, client: Any, row: dict[str, Any], wanted: dict[str, Request]
    ) -> Iterator[Rationale | Failure]:
        """Results of a finished batch, those that were stored before left out."""
        seen: set[str] = set()
        for attempt in range(self._retries + 1):
            try:
                for result in client.messages.batches.results(row["id"]):
                    request = wanted.get(result.custom_id)
                    if request is None or result.custom_id in seen:
                        continue
                    seen.add(result.custom_id)
                    if result.result.type == "succeeded":
                        yield self._rationale(request, reply(result.result.message))
                    else:
                        error = getattr(getattr(result.result, "error", None), "error", None)
                        said = self._clean(getattr(error, "message", "")) or "no answer"
                        yield self._lost(
                            request, f"batch {row['id']}: {result.result.type}: {said}"
                        )
                return
            except self._errors as error:
                problem = self.problem(error)
                # a page of something else has no result at all
                tries = self._retries if seen else min(self._retries, problem.patience)
                if problem.fatal or attempt >= tries:
                    raise InputError(problem.message) from None
                self._retried += 1
                time.sleep(problem.wait or backoff(attempt))

    def _lost(self, request: Request, message: str) -> Failure:
        # not _failure: a batch is over, and giving up after many in a row would keep the rest of it
        # from being read
        self._failed += 1
        return Failure(request.question.id, message)

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What a call may raise, and the reading of a stream of results, whose errors the SDK does
        not wrap."""
        import httpx2

        unreadable = (ValueError, KeyError, TypeError, AttributeError)
        return (self.sdk.APIError, httpx2.HTTPError, OSError, *unreadable)

    def _patiently(self, call: Callable[[], T], *, paid: bool = False) -> T:
        """The call's result, after as many tries as it takes; ``paid`` is not repeated if it may
        have been accepted."""
        for attempt in range(self._retries + 1):
            try:
                result = call()
                self._reached = True
                return result
            except self.sdk.NotFoundError as error:
                if paid:
                    raise InputError(self.problem(error).message) from None
                raise _GoneError from None
            except self._errors as error:
                problem = self.problem(error)
                unclear = (
                    paid
                    and not isinstance(error, self.sdk.APIStatusError)
                    and not problem.unreachable
                )
                tries = self._retries if self._reached else min(self._retries, problem.patience)
                if problem.fatal or not problem.retry or unclear or attempt >= tries:
                    more = "; the next run looks whether it was accepted" if unclear else ""
                    raise InputError(f"{problem.message}{more}") from None
                self._retried += 1
                time.sleep(problem.wait or backoff(attempt))
        raise AssertionError("unreachable")


def _retrieve(client: Any, identifier: str) -> Any:
    batch = client.messages.batches.retrieve(identifier)
    read_reply(batch, "request_counts")
    return batch


def _first_result(client: Any, batch: str) -> Any:
    return next(iter(client.messages.batches.results(batch)))


def _since(client: Any, earliest: datetime) -> list[Any]:
    """The batches at the server that were made after a time; it lists the newest first."""
    return list(
        takewhile(
            lambda batch: batch.created_at >= earliest, client.messages.batches.list(limit=100)
        )
    )


def reply(message: Any) -> Reply:
    """The answer in an API message."""
    if not isinstance(getattr(message, "content", None), list):
        read_reply(message, "content of a message")
    usage = read_reply(message, "usage")
    tokens = {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_read": usage.cache_read_input_tokens or 0,
        "cache_write": usage.cache_creation_input_tokens or 0,
    }
    text = "".join(block.text for block in message.content if block.type == "text").strip()
    outcomes = {
        "refusal": "refused",
        "max_tokens": "truncated",
        "model_context_window_exceeded": "truncated",
    }
    return Reply(
        text, outcomes.get(message.stop_reason, "written"), tokens, message.to_dict(mode="json")
    )
