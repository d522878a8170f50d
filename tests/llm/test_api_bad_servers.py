"""Servers that are not there, are something else, or answer nothing of use: one message, and
soon."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rationales import AnthropicWriter, OpenAIWriter, Request, fill
from radio.rationales.api import HOPELESS, ApiWriter
from radio.schema import InputError, Question
from tests.conftest import entries
from tests.llm_server import KEY

pytest.importorskip("openai", reason="the extra `openai` is not installed")
APIS = ("anthropic", "openai")
PAGE = "<!doctype html><html><head><title>Welcome</title></head><body>It works!</body></html>"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radio.rationales.api.FIRST_WAIT", 0.01)
    for name in ("ANTHROPIC", "OPENAI"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)


class Answers:
    """What a server has been asked, and what it says: ``(content type, body)`` for a path."""

    def __init__(self, say: Callable[[str], tuple[str, str]]) -> None:
        self.say = say
        self.calls: Counter[str] = Counter()
        self.url = ""


@contextmanager
def server(say: Callable[[str], tuple[str, str]]) -> Iterator[Answers]:
    answers = Answers(say)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answers.calls[self.path] += 1
            kind, body = answers.say(self.path)
            self.send_response(200)
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


def writer(api: str, url: str, **options: Any) -> ApiWriter:
    if api == "anthropic":
        return AnthropicWriter("claude-test", base_url=url, **options)
    return OpenAIWriter("a-local-model", base_url=f"{url}/v1", **options)


def questions(count: int) -> list[Question]:
    return [
        Question(f"q{n}", f"Which lamp burns in tower {n}?", (f"lamp {n}",)) for n in range(count)
    ]


def ask(made: ApiWriter, count: int, folder: Path) -> Counter[str]:
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


# Addresses


@pytest.mark.parametrize("kind", [AnthropicWriter, OpenAIWriter], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "found",
    ["localhost:8000", "localhost:8000/v1", "127.0.0.1:9", "http://", "ftp://x", "http://a:b"],
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(kind: Any, found: str) -> None:
    with pytest.raises(
        InputError, match=r"base_url: found .* expected an address with http:// or https://"
    ):
        kind(base_url=found)


def test_the_message_shows_the_address_as_it_should_be() -> None:
    with pytest.raises(InputError, match=r"such as 'http://localhost:8000/v1'"):
        OpenAIWriter("m", base_url="localhost:8000/v1")


def test_the_address_of_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(InputError, match="OPENAI_BASE_URL: found 'localhost:8000'"):
        OpenAIWriter("m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    assert OpenAIWriter("m")._base_url == "http://localhost:8000/v1"


# Servers that are not there


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_takes_no_connection_is_one_message_within_seconds(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.rationales.api.CONNECT", 0.3)
    # a full queue of connections: the next one is neither taken nor refused, as behind a firewall
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(InputError, match=f"cannot reach {url}"):
            ask(writer(api, url, timeout=60.0), 12, tmp_path)
        assert time.monotonic() - start < 15


@pytest.mark.parametrize("api", APIS)
def test_a_name_that_nobody_has_is_one_message(api: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot reach http://nowhere\.invalid"):
        ask(writer(api, "http://nowhere.invalid"), 12, tmp_path)


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_never_answers_is_asked_twice(api: str, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no answer within 0\.3 s"):
            ask(writer(api, url, timeout=0.3), 12, tmp_path)


# Servers that are something else


OTHERS = {
    "page": ("text/html", PAGE),
    "page that claims to be JSON": ("application/json", PAGE),
    "text": ("text/plain", "ok"),
    "nothing": ("application/json", ""),
    "list": ("application/json", "[]"),
    "null": ("application/json", "null"),
    "error": ("application/json", '{"error": {"message": "no such tenant"}}'),
    "other answer": ("application/json", '{"choices": [], "content": null}'),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("kind", OTHERS)
def test_a_server_that_is_something_else_is_one_message_after_a_few_requests(
    api: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(lambda path: OTHERS[kind]) as other:
        start = time.monotonic()
        with pytest.raises(InputError, match="unreadable answer from http://127") as caught:
            ask(writer(api, other.url), 12, tmp_path)
        assert time.monotonic() - start < 10
        assert sum(count for path, count in other.calls.items() if "count" not in path) <= 3
    assert len(str(caught.value).splitlines()) == 1
    if kind == "page":
        assert "<!doctype html>" in str(caught.value)
        assert "base_url" in str(caught.value)


@pytest.mark.parametrize("kind", OTHERS)
def test_batches_at_a_server_that_is_something_else_are_one_message(
    kind: str, tmp_path: Path
) -> None:
    with server(lambda path: OTHERS[kind]) as other:
        for _ in range(2):  # the second run looks for the batch of the first
            with pytest.raises(
                InputError, match=r"unreadable answer from http://127|no longer at the server"
            ):
                ask(writer("anthropic", other.url, mode="batches", poll_seconds=0.01), 12, tmp_path)
        assert other.calls.total() <= 8


@pytest.mark.parametrize("api", APIS)
def test_an_unreadable_answer_among_good_ones_is_not_paid_for_nine_times(
    api: str, tmp_path: Path
) -> None:
    asked: Counter[str] = Counter()

    def say(path: str) -> tuple[str, str]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        asked["all"] += 1
        if asked["all"] == 1:
            return "application/json", completion(api, "Because of the lamp.")
        return "text/html", PAGE

    with server(say) as other:
        assert ask(writer(api, other.url, concurrency=1), 3, tmp_path) == {
            "written": 1,
            "failed": 2,
            "cached": 0,
        }
    assert asked["all"] == 1 + 2 * 3


# Answers that teach nothing


@pytest.mark.parametrize("api", APIS)
def test_empty_answers_are_counted_as_such_with_what_to_do(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(lambda path: ("application/json", completion(api, "  "))) as other:
        assert ask(writer(api, other.url), 12, tmp_path) == {"empty": 12, "cached": 0}
        assert ask(writer(api, other.url), 12, tmp_path) == {"cached": 12}
    said = capsys.readouterr().err
    assert (
        "12 empty: such answers are kept and not asked for again; take another model or prompt"
        in said
    )
    assert "radio cache prune --outcome empty --yes" in said
    rows = [row for _, row in Cache(tmp_path / "radio.sqlite").items_json("rationale")]
    assert {row["outcome"] for row in rows} == {"empty"}


@pytest.mark.parametrize("api", APIS)
def test_a_model_that_answers_nothing_of_use_is_not_paid_for_to_the_end(
    api: str, tmp_path: Path
) -> None:
    with server(lambda path: ("application/json", completion(api, None))) as other:
        with pytest.raises(InputError, match=r"of no use so far.*empty: such answers are kept"):
            ask(writer(api, other.url, concurrency=4), 500, tmp_path)
        asked = sum(count for path, count in other.calls.items() if "count" not in path)
    assert HOPELESS <= asked <= HOPELESS + 4
    # and each of them is kept
    assert entries(Cache(tmp_path / "radio.sqlite"))["rationale"] == asked


@pytest.mark.parametrize("api", APIS)
def test_half_a_character_at_the_end_of_an_answer_loses_nothing(api: str, tmp_path: Path) -> None:
    body = completion(api, "Because of the lamp \U0001f4a1").replace("\\ud83d\\udca1", "\\ud83d")
    with server(lambda path: ("application/json", body)) as other:
        assert ask(writer(api, other.url), 1, tmp_path)["written"] == 1
    (row,) = [row for _, row in Cache(tmp_path / "radio.sqlite").items_json("rationale")]
    assert row["rationale"] == "Because of the lamp \N{REPLACEMENT CHARACTER}"
