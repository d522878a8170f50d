"""Models of any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from radio.llm.api import ApiModel
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

    def count_tokens(self, calls: Sequence[Call]) -> tuple[list[int], str]:
        import tiktoken

        try:
            encoding = tiktoken.encoding_for_model(self.model)
        except KeyError:
            why = f"tiktoken does not know {self.model}"
        except Exception as error:
            why = f"the encoding could not be loaded: {type(error).__name__}"
        else:
            prompts = [f"{call.system}\n{call.user}" for call in calls]
            # a message has some tokens of its own
            counts = [len(encoding.encode_ordinary(prompt)) + 8 for prompt in prompts]
            return counts, f"tiktoken {encoding.name}"
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
