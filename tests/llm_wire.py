"""The wire formats of Anthropic's and OpenAI's APIs, as :mod:`tests.llm_server` speaks them."""

from __future__ import annotations

import re
import time
from typing import Any

KEY = "sk-test-4f1c9a70"
MODELS = ("claude-test", "gpt-test", "gpt-4o-mini", "claude-haiku-4-5")


def error(status: int, kind: str, message: str, api: str, **headers: str) -> Any:
    from aiohttp import web

    if api == "anthropic":
        body: dict[str, Any] = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_1",
        }
    else:
        body = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return web.json_response(body, status=status, headers=headers)


def rationale(body: dict[str, Any], question: str) -> str:
    """What a model would write: it names the answers of the prompt, if they are there."""
    given = re.search(r"Correct answer: (.*)", body["messages"][-1]["content"])
    answer = f", which is {given[1]}," if given else ""
    return f"Because of the facts, the answer to {question!r}{answer} is right."


def message(
    body: dict[str, Any],
    number: int,
    *,
    question: str,
    kind: str | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """A response of the Messages API: whole, ``refused`` or ``cut``; with this text, or else with a
    rationale."""
    cut, refuse = kind == "cut" or "cut me" in question, kind == "refused"
    text = "" if refuse else rationale(body, question) if text is None else text
    return {
        "id": f"msg_{number:06}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text[: 20 if cut else None]}] if text else [],
        "stop_reason": "refusal" if refuse else "max_tokens" if cut else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": body["max_tokens"] if cut else 40,
        },
    }


def completion(
    body: dict[str, Any],
    number: int,
    *,
    question: str,
    kind: str | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """A response of the chat completions API: whole, ``refused`` or ``cut``; with this text, or
    else with a rationale."""
    cut, refuse = kind == "cut" or "cut me" in question, kind == "refused"
    text = rationale(body, question) if text is None else text
    answer = {
        "role": "assistant",
        "content": None if refuse else text,
        "refusal": "I cannot." if refuse else None,
    }
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": answer,
                "finish_reason": "length" if cut else "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 300 if cut else 40,
            "total_tokens": 140,
        },
    }
