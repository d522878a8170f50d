"""Addresses that are none are refused, and no message or file holds a secret of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.llm.addresses import shown_address, with_shown_addresses
from radio.llm.openai import OpenAIModel
from radio.llm.problems import Problems
from radio.rationales import AnthropicWriter, OpenAIWriter
from radio.schema import InputError
from tests.llm.asking import APIS, ask, questions, writer
from tests.llm.other_servers import PAGE, server

openai = pytest.importorskip("openai", reason="the extra `openai` is not installed")


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
    assert OpenAIModel("m")._base_url == "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("https://me:hunter2@gpu.example:8000/v1", "https://gpu.example:8000/v1"),
        ("https://me:hunt@er2@gpu.example/v1", "https://gpu.example/v1"),
        ("https://gpu.example/v1?api_key=hunter2#hunter2", "https://gpu.example/v1"),
        ("me:hunter2@gpu.example", "gpu.example"),
        ("http://[::1]:8000/models/@latest", "http://[::1]:8000/models/@latest"),
        ("the provider", "the provider"),
    ],
)
def test_a_shown_address_has_no_user_password_or_query(found: str, shown: str) -> None:
    assert shown_address(found) == shown
    assert with_shown_addresses(f"no answer from {found}") == (
        f"no answer from {shown if '://' in found else found}"
    )


@pytest.mark.parametrize(
    "found", ["me:hunter2@gpu:8000/v1", "ftp://me:hunter2@gpu/v1", "https://me:hunt/er2@gpu/v1"]
)
def test_an_address_that_is_refused_is_shown_without_its_password(found: str) -> None:
    with pytest.raises(InputError, match="base_url: found ") as caught:
        OpenAIModel("m", base_url=found)
    assert "er2" not in str(caught.value)
    assert "gpu" in str(caught.value)


class Broken(Exception):  # noqa: N818 -- named as the transport's
    """Of a connection that broke; such errors name the address."""


Broken.__name__ = "ServerDisconnectedError"


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ValueError("found '', expected an answer"),
        Broken("gone: https://me:hunter2@gpu.example/v1/chat?api_key=hunter2"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_message_about_a_server_holds_the_secrets_of_its_address(error: Exception) -> None:
    url = "https://me:hunter2@gpu.example/v1?api_key=hunter2"
    message = Problems(openai, url, "m", "OPENAI_API_KEY", 5.0).read(error).message
    assert "https://gpu.example/v1" in message
    assert "hunter2" not in message


def test_a_key_at_the_place_where_a_long_message_is_cut_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    problems = Problems(openai, "https://gpu.example/v1", "m", "OPENAI_API_KEY", 5.0)
    assert "sk-" not in problems.clean("x" * 495 + "sk-secret-key")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.usefixtures("impatient")
def test_what_ends_a_run_is_said_without_the_password_in_the_address(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(lambda path: ("text/html", PAGE)) as other:
        url = other.url.replace("http://", "http://me:hunter2@")
        with pytest.raises(InputError, match=other.url) as caught:
            ask(writer(api, url), questions(2), tmp_path)
    assert "hunter2" not in str(caught.value) + capsys.readouterr().err
