"""Models of any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

from radio.llm.api import MESSAGE, ApiModel
from radio.llm.base import Call, Reply
from radio.llm.problems import read_reply
from radio.schema import InputError


class OpenAIModel(ApiModel):
    """Asks an OpenAI-compatible server (OpenAI, vLLM, SGLang, Ollama, llama.cpp) through the
    official SDK.

    Needs ``pip install 'radio-rag[openai]'``. The key comes from ``OPENAI_API_KEY``; with a
    ``base_url`` it may be missing, as local servers need none.

    Args:
        limit_name: what the server calls ``max_tokens``; OpenAI's reasoning models say
            ``max_completion_tokens``.
        kwargs: arguments of ApiModel.
    """

    key_name = "OPENAI_API_KEY"
    url_name = "OPENAI_BASE_URL"

    def __init__(
        self, model: str = "gpt-4o-mini", limit_name: str = "max_tokens", **kwargs: Any
    ) -> None:
        super().__init__(model=model, **kwargs)
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

    def connect(self) -> Any:
        return self.sdk.AsyncOpenAI(
            # aiohttp costs half the processor time of the SDK's default transport
            http_client=self.sdk.DefaultAioHttpClient(),
            max_retries=0,
            api_key=self.api_key(),
            base_url=self._base_url,
            timeout=self.time_limits,
        )

    async def ask(self, client: Any, call: Call) -> Reply:
        messages = [{"role": "user", "content": call.user}]
        if call.system:
            messages.insert(0, {"role": "system", "content": call.system})
        completion = await client.chat.completions.create(
            model=self.model,
            messages=messages,
            extra_body={self._limit_name: self._max_tokens, **self.sampling},
        )
        return reply_of(completion)

    @cached_property
    def _encoding(self) -> Any:
        """tiktoken's encoding of this model, or a text that says why there is none."""
        import tiktoken

        try:
            return tiktoken.encoding_for_model(self.model)
        except KeyError:
            return f"tiktoken does not know {self.model}"
        except Exception as error:
            return f"the encoding could not be loaded: {type(error).__name__}"

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


def reply_of(completion: Any) -> Reply:
    """The answer in what the SDK returned."""
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
    if not usage:
        return {}
    tokens = {"input": usage.prompt_tokens, "output": usage.completion_tokens}
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    if cached:
        tokens["input"] -= cached
        tokens["cache_read"] = cached
    return tokens
