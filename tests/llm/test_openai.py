"""What is asked of servers with OpenAI's interface, and how their answers are read."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from types import SimpleNamespace as Object
from typing import Any

import pytest
import tiktoken
import tiktoken.load
import tiktoken.model
import tiktoken.registry

from radio.llm.api import MESSAGE
from radio.llm.base import Call
from radio.llm.openai import OpenAIModel, reply_of
from radio.rationales import OpenAIWriter, Request
from tests.llm.asking import questions

pytest.importorskip("openai", reason="the extra `openai` is not installed")


def test_the_estimate_says_how_tokens_were_counted() -> None:
    asked = [Request("k", question) for question in questions(3)]
    made = OpenAIWriter("a-local-model", base_url="http://127.0.0.1:9/v1")
    assert "3.5 characters a token, as tiktoken does not know a-local-model" in made.estimate(asked)
    assert "no price is known for a-local-model" in made.estimate(asked)


PIECES = [bytes([n]) for n in range(256)] + [b"la", b"mp", b"lamp", b" lamp"]


@pytest.fixture
def tiny_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """tiktoken knows an encoding of few pieces for gpt-tiny, which is elsewhere; the file in which
    it would be cached, and no download passes."""
    url = "https://nowhere.invalid/tiny.tiktoken"
    text = "".join(f"{base64.b64encode(piece).decode()} {n}\n" for n, piece in enumerate(PIECES))

    def tiny() -> dict[str, Any]:
        digest = hashlib.sha256(text.encode()).hexdigest()
        ranks = tiktoken.load.load_tiktoken_bpe(url, expected_hash=digest)
        return {"name": "tiny", "pat_str": r" ?\S+|\s", "mergeable_ranks": ranks} | {
            "special_tokens": {}
        }

    def download(*_: Any, **__: Any) -> None:
        pytest.fail("a download was begun")

    tiktoken.list_encoding_names()
    monkeypatch.setitem(tiktoken.registry.ENCODING_CONSTRUCTORS, "tiny", tiny)
    monkeypatch.setitem(tiktoken.model.MODEL_TO_ENCODING, "gpt-tiny", "tiny")
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    monkeypatch.setattr("requests.get", download)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    cached = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    cached.write_text(text)
    return cached


@pytest.mark.usefixtures("tiny_encoding")
def test_tokens_are_those_of_a_cached_encoding() -> None:
    model = OpenAIModel("gpt-tiny", base_url="http://127.0.0.1:9/v1")
    call = Call("k", "q", "lamp", lambda: "lamp lamp")
    # 4 pieces: lamp, the end of the line, lamp, lamp after a blank
    assert model.prompt_tokens(call.system, call.user) == 4 + MESSAGE
    assert model.first_tokens("lamp lamp lamp", 2) == "lamp lamp"
    assert model.first_tokens("lamp lamp", 9) == "lamp lamp"
    assert model.first_tokens("ü", 1) == "", "half a character is none"
    assert model.count_tokens([call]) == ([4 + MESSAGE], "tiktoken tiny")


@pytest.mark.parametrize("state", ["missing", "damaged", "not cached at all"])
def test_an_encoding_that_is_not_here_is_never_downloaded(
    tiny_encoding: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state == "missing":
        tiny_encoding.unlink()
    elif state == "damaged":
        tiny_encoding.write_text("YQ== 0\n")
    else:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    before = tiktoken.load.read_file
    model = OpenAIModel("gpt-tiny", base_url="http://127.0.0.1:9/v1")
    assert model.prompt_tokens("", "x" * 35) == 10 + MESSAGE
    assert model.first_tokens("x" * 35, 2) == "x" * 7
    _, how = model.count_tokens([Call("k", "q", "", lambda: "x" * 35)])
    assert "3.5 characters a token, as tiktoken's tiny is not in its cache" in how
    assert tiktoken.load.read_file is before, "others can still download"


def completion(usage: Any, reason: str = "stop", **message: Any) -> Object:
    choice = Object(
        finish_reason=reason, message=Object(**{"content": None, "refusal": None, **message})
    )
    return Object(choices=[choice], usage=usage, to_dict=lambda mode: {"id": "c"})


@pytest.mark.parametrize(
    ("said", "text", "outcome"),
    [
        (completion(None, content=" Because. "), "Because.", "written"),
        (completion(None, refusal="I cannot."), "I cannot.", "refused"),
        (completion(None, "content_filter", content="Be"), "Be", "refused"),
        (completion(None, "length", content="Because of"), "Because of", "truncated"),
        (completion(None), "", "written"),
    ],
)
def test_why_an_answer_ended_is_its_outcome(said: Object, text: str, outcome: str) -> None:
    reply = reply_of(said)
    assert (reply.text, reply.outcome, reply.usage) == (text, outcome, {})
    assert reply.response == {"id": "c"}


def test_tokens_from_the_cache_are_not_counted_as_input_too() -> None:
    details = Object(cached_tokens=60)
    usage = Object(prompt_tokens=100, completion_tokens=5, prompt_tokens_details=details)
    assert reply_of(completion(usage)).usage == {"input": 40, "output": 5, "cache_read": 60}
    plain = Object(prompt_tokens=100, completion_tokens=5, prompt_tokens_details=None)
    assert reply_of(completion(plain)).usage == {"input": 100, "output": 5}
