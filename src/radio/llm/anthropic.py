"""Anthropic's models: messages one by one, or the Message Batches API at half the price."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Literal, TypeVar

from radio.llm.base import Call, Reply
from radio.llm.batches import BatchApi, Orders, State
from radio.llm.ordering import BatchModel
from radio.llm.problems import UnreadableError, read_reply, read_whole
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


class AnthropicModel(BatchModel):
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
        in_batches = mode == "batches"
        super().__init__(model, in_batches, batch_size, poll_seconds, **kwargs)

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

    def batch_api(self) -> BatchApi:
        return MessageBatches(self._client(self.sdk.Anthropic))


class MessageBatches(BatchApi):
    """The Message Batches API.

    Args:
        client: the SDK's synchronous one, which itself tries nothing again.
    """

    most_bytes = 256 * 10**6

    def __init__(self, client: Any) -> None:
        self._api = client.messages.batches

    def create(self, orders: Orders, file: str | None) -> str:
        # the key is a valid custom_id: 64 characters
        requests = [{"custom_id": key, "params": body} for key, body in orders.items()]
        return str(read_reply(self._api.create(requests=requests), "id"))

    def state(self, identifier: str) -> State:
        return _state(self._api.retrieve(identifier))

    def newest(self) -> Iterator[State]:
        return map(_state, self._api.list(limit=100))

    def results(self, identifier: str) -> Iterator[tuple[str, Reply | UnreadableError | str]]:
        for order in self._api.results(identifier):
            if order.result.type == "succeeded":
                try:
                    yield order.custom_id, reply_of(order.result.message)
                except UnreadableError as unreadable:
                    # one of many: the others are read
                    yield order.custom_id, unreadable
                continue
            error = getattr(getattr(order.result, "error", None), "error", None)
            said = getattr(error, "message", "") or "no answer"
            yield order.custom_id, f"{order.result.type}: {said}"


def _state(batch: Any) -> State:
    counts = read_reply(batch, "request_counts")
    done = counts.succeeded + counts.errored + counts.canceled + counts.expired
    is_over = batch.processing_status == "ended"
    return State(batch.id, counts.processing + done, done, batch.created_at, is_over)


def reply_of(message: Any) -> Reply:
    """The answer in an API message.

    Raises:
        UnreadableError: there is none.
    """
    return read_whole(message, _reply, _usage)


def _usage(message: Any) -> dict[str, int]:
    usage = read_reply(message, "usage")
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cache_read": usage.cache_read_input_tokens or 0,
        "cache_write": usage.cache_creation_input_tokens or 0,
    }


def _reply(message: Any) -> Reply:
    if not isinstance(getattr(message, "content", None), list):
        read_reply(message, "content of a message")
    tokens = _usage(message)
    text = "".join(block.text for block in message.content if block.type == "text").strip()
    outcome = OUTCOMES.get(message.stop_reason, "written")
    return Reply(text, outcome, tokens, message.to_dict(mode="json"))
