"""Anthropic's models: messages one by one, or the Message Batches API at half the price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Literal, TypeVar

from radio.cache import Cache
from radio.llm.api import ApiModel
from radio.llm.base import Call, Reply, Result
from radio.llm.batches import Batch, Batches, GoneError
from radio.llm.problems import read_reply
from radio.ranges import check
from radio.schema import InputError

T = TypeVar("T")

CACHEABLE = 1024
"""Tokens that a fixed prefix must have to be cached at all (some models ask for more, and then
ignore the mark)."""

OUTCOMES = {
    "refusal": "refused",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
}
"""By what the API says why an answer ended; ``written`` for all else."""


class AnthropicModel(ApiModel):
    """Asks Claude through the official SDK; the key comes from ``ANTHROPIC_API_KEY``.

    With ``mode: batches`` requests go to the Message Batches API, which answers within a day. A
    batch in flight is noted in the cache, before and after it is submitted: a later run waits for
    it instead of submitting it again.

    Args:
        mode: ``messages`` or ``batches``.
        batch_size: requests in one batch (the API takes 100,000).
        poll_seconds: time between two looks at a batch.
        kwargs: arguments of ApiModel.
    """

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
        self._in_batches = mode == "batches"
        self._batch_size = batch_size
        self._poll_seconds = poll_seconds
        self._progress = ""

    @property
    def sdk(self) -> ModuleType:
        import anthropic

        return anthropic

    def _client(self, kind: Callable[..., T], **options: Any) -> T:
        return kind(
            api_key=self.api_key(),
            base_url=self._base_url,
            max_retries=0,
            timeout=self.time_limits,
            **options,
        )

    def connect(self) -> Any:
        import anthropic

        # aiohttp costs half the processor time of the SDK's default transport
        return self._client(anthropic.AsyncAnthropic, http_client=anthropic.DefaultAioHttpClient())

    def body(self, call: Call) -> dict[str, Any]:
        """The body of a message request; a long fixed prefix is marked for the provider's prompt
        cache."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._max_tokens,
            "messages": [{"role": "user", "content": call.user}],
        }
        if call.system:
            block: dict[str, Any] = {"type": "text", "text": call.system}
            if len(call.system) * self._tokens_per_character >= CACHEABLE:
                block["cache_control"] = {"type": "ephemeral"}
            body["system"] = [block]
        return body

    async def ask(self, client: Any, call: Call) -> Reply:
        # not every model takes sampling settings, so the SDK has no arguments for them
        message = await client.messages.create(**self.body(call), extra_body=self.sampling or None)
        return reply_of(message)

    def count_tokens(self, calls: Sequence[Call]) -> tuple[list[int], str]:
        client = self._client(self.sdk.Anthropic)
        counts = []
        try:
            for call in calls:
                body = self.body(call)
                body.pop("max_tokens")
                counts.append(read_reply(client.messages.count_tokens(**body), "input_tokens"))
        except (self.sdk.APIError, AttributeError, ValueError) as error:
            problem = self.problems.read(error)
            # a server that speaks the interface may do without this part of it
            cannot_count = getattr(error, "status_code", 0) == 404
            if (problem.fatal and not cannot_count) or problem.unreachable:
                raise InputError(problem.message) from None
            how = f"{1 / self._tokens_per_character:g} characters a token: {problem.message}"
            return [round(self.tokens(call)) for call in calls], how
        return counts, f"counted by the API on {len(calls)}"

    def status(self) -> str:
        return super().status() + self._progress

    # Batches

    def complete(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        if self._in_batches:
            return self._complete_in_batches(calls, cache)
        return super().complete(calls, cache)

    def _complete_in_batches(self, calls: Sequence[Call], cache: Cache) -> Iterator[Result]:
        """Collect the batches in flight, submit what is in none of them, wait for all."""
        client = self._client(self.sdk.Anthropic)
        batches = Batches(
            client, cache, self.problems, self._tally, self._retries, self._poll_seconds
        )
        wanted = {call.key: call for call in calls}
        waiting = batches.in_flight(wanted.keys())
        covered = {key for batch in waiting for key in batch.keys}
        left = [call for call in calls if call.key not in covered]
        for start in range(0, len(left), self._batch_size):
            part = [call.written_out() for call in left[start : start + self._batch_size]]
            affordable = self._affordable(part)
            if affordable:
                orders = {call.key: {**self.body(call), **self.sampling} for call in affordable}
                waiting.append(batches.submit(self.model, orders))
            if self._money.stopped:
                break
        total = len(waiting)
        while waiting:
            for batch in list(waiting):
                number = total - len(waiting) + 1
                results = self._look(batches, batch, wanted, f"batch {number} of {total}")
                if results is not None:
                    yield from results
                    batches.forget(batch)
                    waiting.remove(batch)
            if waiting:
                time.sleep(self._poll_seconds)
        self._progress = ""

    def _affordable(self, calls: list[Call]) -> list[Call]:
        """As many of these calls as ``max_cost`` allows."""
        for number, call in enumerate(calls):
            if not self._money.reserve(self.most(call)):
                return calls[:number]
        return calls

    def _look(
        self, batches: Batches, batch: Batch, wanted: dict[str, Call], title: str
    ) -> Iterator[Result] | None:
        """The results of a batch; None while it is under way."""
        try:
            state = batches.state(batch)
        except GoneError:
            # results are kept for some weeks only; the next run asks anew
            return self._all_lost(batch, wanted)
        counts = state.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        self._progress = f", {title}: {done:,} of {len(batch.keys):,}"
        if state.processing_status != "ended":
            return None
        return self._collect(batches, batch, wanted)

    def _all_lost(self, batch: Batch, wanted: dict[str, Call]) -> Iterator[Result]:
        for key in batch.keys:
            if call := wanted.get(key):
                message = f"batch {batch.id} is no longer at the server"
                yield call, self._tally.lost(call, message)

    def _collect(self, batches: Batches, batch: Batch, wanted: dict[str, Call]) -> Iterator[Result]:
        """Results of a finished batch, those that were stored before left out."""
        for order in batches.results(batch):
            call = wanted.get(order.custom_id)
            if call is None:
                continue
            if order.result.type == "succeeded":
                yield call, self.paid(reply_of(order.result.message))
                continue
            error = getattr(getattr(order.result, "error", None), "error", None)
            said = self.problems.clean(getattr(error, "message", "")) or "no answer"
            message = f"batch {batch.id}: {order.result.type}: {said}"
            yield call, self._tally.lost(call, message)


def reply_of(message: Any) -> Reply:
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
    outcome = OUTCOMES.get(message.stop_reason, "written")
    return Reply(text, outcome, tokens, message.to_dict(mode="json"))
