"""Servers that say whatever a test makes them say, and writers that ask them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.rationales import AnthropicWriter, OpenAIWriter, Request, fill
from radio.rationales.writers import PromptWriter
from radio.schema import Question

PAGE = "<!doctype html><html><head><title>Welcome</title></head><body>It works!</body></html>"
APIS = ("anthropic", "openai")


Say = Callable[[str], tuple[str, str] | tuple[str, str, int]]


class Answers:
    """What a server has been asked, and what it says: ``(content type, body)`` for a path, and a
    status that is not 200."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.calls: Counter[str] = Counter()
        self.url = ""


@contextmanager
def server(say: Say) -> Iterator[Answers]:
    answers = Answers(say)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answers.calls[self.path] += 1
            kind, body, *status = answers.say(self.path)
            self.send_response(status[0] if status else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        answers.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield answers
        finally:
            running.shutdown()
            thread.join()


def writer(api: str, url: str, **options: Any) -> PromptWriter:
    if api == "anthropic":
        return AnthropicWriter("claude-test", base_url=url, **options)
    return OpenAIWriter("a-local-model", base_url=f"{url}/v1", **options)


def questions(count: int) -> list[Question]:
    return [
        Question(f"q{n}", f"Which lamp burns in tower {n}?", (f"lamp {n}",)) for n in range(count)
    ]


def ask(made: PromptWriter, count: int, folder: Path) -> Counter[str]:
    requests = [Request(made.key(q), q) for q in questions(count)]
    return fill(
        made, requests, Cache(folder / "radio.sqlite"), folder / "failures.jsonl", "rationales"
    )


def completion(api: str, text: str | None) -> str:
    """An answer of the API with this text."""
    if api == "anthropic":
        content = [{"type": "text", "text": text}] if text else []
        usage = {"input_tokens": 100, "output_tokens": 5}
        row = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
        }
        return json.dumps({**row, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    row = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return json.dumps(
        {**row, "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}}
    )
