"""Models of any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any, Literal, TypeVar

from radio.llm.api import MESSAGE
from radio.llm.base import Call, Reply
from radio.llm.batches import BatchApi
from radio.llm.openai_batches import FileBatches
from radio.llm.ordering import BatchModel
from radio.llm.problems import read_reply, read_whole
from radio.ranges import check
from radio.schema import InputError

T = TypeVar("T")


class OpenAIModel(BatchModel):
    """Asks an OpenAI-compatible server (OpenAI, vLLM, SGLang, Ollama, llama.cpp) through the
    official SDK.

    Needs ``pip install 'radio-rag[openai]'``. The key comes from ``OPENAI_API_KEY``; with a
    ``base_url`` it may be missing, as local servers need none.

    With ``mode: batches`` requests go to OpenAI's Batch API, which answers within a day. A batch in
    flight is noted in the cache, before and after it is submitted: a later run waits for it instead
    of submitting it again.

    Args:
        limit_name: what the server calls ``max_tokens``; OpenAI's reasoning models say
            ``max_completion_tokens``.
        mode: ``completions`` or ``batches``.
        batch_size: requests in one batch (the API takes 50,000, and 200 MB).
        poll_seconds: time between two looks at a batch.
        kwargs: arguments of ApiModel.
    """

    key_name = "OPENAI_API_KEY"
    url_name = "OPENAI_BASE_URL"

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        limit_name: str = "max_tokens",
        mode: Literal["completions", "batches"] = "completions",
        batch_size: int = 10_000,
        poll_seconds: float = 30.0,
        **kwargs: Any,
    ) -> None:
        check(self, locals())
        in_batches = mode == "batches"
        super().__init__(model, in_batches, batch_size, poll_seconds, **kwargs)
        self._limit_name = limit_name
        self.sdk  # noqa: B018 -- a missing package shows itself now

    @property
    def sdk(self) -> ModuleType:
        try:
            import openai
        except ImportError:
            raise InputError(
                "OpenAIModel needs the package openai: pip install 'radio-rag[openai]'"
            ) from None
        return openai

    def api_key(self) -> str:
        if self._base_url and not os.environ.get(self.key_name):
            return "none"
        return super().api_key()

    def _client(self, kind: Callable[..., T], **options: Any) -> T:
        return kind(
            api_key=self.api_key(),
            base_url=self._base_url,
            max_retries=0,
            timeout=self.time_limits,
            **options,
        )

    def connect(self) -> Any:
        # aiohttp costs half the processor time of the SDK's default transport
        transport = self.sdk.DefaultAioHttpClient()
        return self._client(self.sdk.AsyncOpenAI, http_client=transport)

    def batch_api(self) -> BatchApi:
        return FileBatches(self._client(self.sdk.OpenAI), reply_of)

    def body(self, call: Call) -> dict[str, Any]:
        messages = [{"role": "user", "content": call.user}]
        if call.system:
            messages.insert(0, {"role": "system", "content": call.system})
        return {"model": self.model, "messages": messages, self._limit_name: self._max_tokens}

    async def ask(self, client: Any, call: Call) -> Reply:
        body = self.body(call)
        model, messages = body.pop("model"), body.pop("messages")
        # servers have settings that the SDK has no arguments for
        completion = await client.chat.completions.create(
            model=model, messages=messages, extra_body={**body, **self.sampling}
        )
        return reply_of(completion)

    @cached_property
    def _encoding(self) -> Any:
        """tiktoken's encoding of this model, or a text that says why there is none."""
        return local_encoding(self.model)

    def prompt_tokens(self, system: str, user: str) -> int:
        if isinstance(self._encoding, str):
            return super().prompt_tokens(system, user)
        return len(self._encoding.encode_ordinary(f"{system}\n{user}")) + MESSAGE

    def first_tokens(self, text: str, count: int) -> str:
        if isinstance(self._encoding, str):
            return super().first_tokens(text, count)
        tokens = self._encoding.encode_ordinary(text)
        if len(tokens) <= count:
            return text
        # a character that was cut in half is left out
        return str(self._encoding.decode_bytes(tokens[: max(0, count)]).decode(errors="ignore"))

    def count_tokens(self, calls: Sequence[Call]) -> tuple[list[int], str]:
        why = self._encoding
        if not isinstance(why, str):
            counts = [self.prompt_tokens(call.system, call.user) for call in calls]
            return counts, f"tiktoken {why.name}"
        how = f"{1 / self._tokens_per_character:g} characters a token, as {why}"
        return [round(self.tokens(call)) for call in calls], how


_LOADING = threading.Lock()


def local_encoding(model: str) -> Any:
    """tiktoken's encoding of a model, or a text that says why there is none. It is never
    downloaded, as tiktoken would do without a limit of time: it has to be on this machine."""
    import tiktoken
    import tiktoken.load as files

    try:
        name = tiktoken.encoding_name_for_model(model)
    except KeyError:
        return f"tiktoken does not know {model}"
    original = files.read_file

    def read_file(blobpath: str) -> bytes:
        if "://" in blobpath:
            raise FileNotFoundError(blobpath)
        return original(blobpath)

    with _LOADING:
        files.read_file = read_file
        try:
            return tiktoken.get_encoding(name)
        except FileNotFoundError:
            return f"tiktoken's {name} is not in its cache (TIKTOKEN_CACHE_DIR)"
        except Exception as error:
            return f"tiktoken's {name} could not be loaded: {type(error).__name__}"
        finally:
            files.read_file = original


def reply_of(completion: Any) -> Reply:
    """The answer in what the SDK returned.

    Raises:
        UnreadableError: there is none.
    """
    return read_whole(completion, _reply, lambda found: _usage(getattr(found, "usage", None)))


def _reply(completion: Any) -> Reply:
    choice = read_reply(completion, "choices")[0]
    message = choice.message
    if choice.finish_reason == "content_filter" or message.refusal:
        outcome = "refused"
    elif choice.finish_reason == "length":
        outcome = "truncated"
    else:
        outcome = "written"
    text = (message.content or message.refusal or "").strip()
    return Reply(text, outcome, _usage(completion.usage), completion.to_dict(mode="json"))


def _usage(usage: Any) -> dict[str, int]:
    """Tokens by kind; nothing where the server does not count them."""
    read = getattr(usage, "prompt_tokens", None)
    written = getattr(usage, "completion_tokens", None)
    if read is None or written is None:
        return {}
    tokens = {"input": read, "output": written}
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    if cached:
        tokens["input"] -= cached
        tokens["cache_read"] = cached
    return tokens
