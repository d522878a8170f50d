"""Servers that are not there or are something else: one message, and soon."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import pytest

from radio.schema import InputError
from tests.llm import asking
from tests.llm.other_servers import APIS, PAGE, ask, completion, server, writer
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")
pytestmark = pytest.mark.usefixtures("impatient")


# Servers that are not there


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_takes_no_connection_is_one_message_within_seconds(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.llm.api.CONNECT", 0.3)
    # a full queue of connections: the next one is neither taken nor refused, as behind a firewall
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        # after the time of an answer the message would be another one
        with pytest.raises(InputError, match=f"cannot reach {url}"):
            ask(writer(api, url, timeout=600.0), 12, tmp_path)


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


@pytest.mark.parametrize("api", APIS)
def test_a_server_that_always_hangs_up_is_there_and_asked_a_few_times(
    api: str, tmp_path: Path
) -> None:
    with serve(tmp_path, "--faults", "1.0", "--kinds", "drop") as busy:
        made = asking.writer(api, busy.url)
        with pytest.raises(InputError, match=r"the connection to http://127.* broke") as caught:
            ask(made, 12, tmp_path)
        assert "cannot reach" not in str(caught.value)
        assert busy.stats()["faults"] == {"drop": 4}


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
        with pytest.raises(InputError, match="unreadable answer from http://127") as caught:
            ask(writer(api, other.url), 12, tmp_path)
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
