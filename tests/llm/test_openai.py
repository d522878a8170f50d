"""What is asked of servers with OpenAI's interface, and how their answers are read."""

from __future__ import annotations

from types import SimpleNamespace as Object
from typing import Any

import pytest

from radio.llm.openai import reply_of
from radio.rationales import OpenAIWriter, Request
from tests.llm.asking import questions

pytest.importorskip("openai", reason="the extra `openai` is not installed")


def test_the_estimate_says_how_tokens_were_counted() -> None:
    asked = [Request("k", question) for question in questions(3)]
    made = OpenAIWriter("a-local-model", base_url="http://127.0.0.1:9/v1")
    assert "3.5 characters a token, as tiktoken does not know a-local-model" in made.estimate(asked)
    assert "no price is known for a-local-model" in made.estimate(asked)


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
