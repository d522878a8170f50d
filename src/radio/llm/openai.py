"""Rationales from any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from radio.llm.api import ApiWriter, Reply, read_reply
from radio.schema import InputError


class OpenAIWriter(ApiWriter):
    """Asks an OpenAI-compatible server (OpenAI, vLLM, SGLang, Ollama, llama.cpp) through the
    official SDK.

    Needs ``pip install 'radio-rag[openai]'``. The key comes from ``OPENAI_API_KEY``; with a
    ``base_url`` it may be missing, as local servers need none.

    Args:
        limit_name: what the server calls ``max_tokens``; OpenAI's reasoning models say
            ``max_completion_tokens``.
        kwargs: arguments of ApiWriter.
    """

    identity = "OpenAIWriter"
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
                "OpenAIWriter needs the package openai: pip install 'radio-rag[openai]'"
            ) from None
        return openai

    def api_key(self) -> str:
        if self._base_url and not os.environ.get(self.key_name):
            return "none"
        return super().api_key()

    def connect(self) -> Any:
        # aiohttp costs half the processor time of the SDK's default transport
        http = self.sdk.DefaultAioHttpClient()
        options = {
            "api_key": self.api_key(),
            "base_url": self._base_url,
            "timeout": self._time_limits,
        }
        return self.sdk.AsyncOpenAI(http_client=http, max_retries=0, **options)

    async def ask(self, client: Any, text: str) -> Reply:
        messages = [{"role": "user", "content": text}]
        if self._template.system:
            messages.insert(0, {"role": "system", "content": self._template.system})
        completion = await client.chat.completions.create(
            model=self.model,
            messages=messages,
            extra_body={self._limit_name: self._max_tokens, **self.sampling},
        )
        choice = read_reply(completion, "choices")[0]
        refused = choice.finish_reason == "content_filter" or bool(choice.message.refusal)
        outcome = (
            "refused" if refused else "truncated" if choice.finish_reason == "length" else "written"
        )
        usage = completion.usage
        tokens = {"input": usage.prompt_tokens, "output": usage.completion_tokens} if usage else {}
        read = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None) or 0
        if read:
            tokens = {**tokens, "input": tokens["input"] - read, "cache_read": read}
        text = (choice.message.content or choice.message.refusal or "").strip()
        return Reply(text, outcome, tokens, completion.to_dict(mode="json"))

    def count_tokens(self, texts: Sequence[str]) -> tuple[list[int], str]:
        import tiktoken

        prompts = [f"{self._template.system}\n{text}" for text in texts]
        try:
            encoding = tiktoken.encoding_for_model(self.model)
        except KeyError:
            why = f"tiktoken does not know {self.model}"
        except Exception as error:
            why = f"the encoding could not be loaded: {type(error).__name__}"
        else:
            return [
                len(encoding.encode_ordinary(prompt)) + 8 for prompt in prompts
            ], f"tiktoken {encoding.name}"
        return (
            [round(len(prompt) * self._tokens_per_character) for prompt in prompts],
            f"{1 / self._tokens_per_character:g} characters a token, as {why}",
        )
