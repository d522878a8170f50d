"""What is sent to Anthropic, and how its answers are read."""

from __future__ import annotations

from types import SimpleNamespace as Object

import pytest

from radio.llm.anthropic import AnthropicModel, reply_of
from radio.llm.base import Call


def test_a_long_fixed_prefix_is_marked_for_the_prompt_cache() -> None:
    short = Call("k", "q", "Explain with care.", lambda: "Question?")
    long = Call("k", "q", "Explain with care. " * 400, lambda: "Question?")
    model = AnthropicModel()
    assert "cache_control" not in model.body(short)["system"][0]
    assert model.body(long)["system"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("end_turn", "written"), ("refusal", "refused"), ("max_tokens", "truncated")],
)
def test_why_an_answer_ended_is_its_outcome(reason: str, outcome: str) -> None:
    usage = Object(
        input_tokens=7,
        output_tokens=3,
        cache_read_input_tokens=None,
        cache_creation_input_tokens=2,
    )
    blocks = [Object(type="thinking"), Object(type="text", text=" Because. ")]
    message = Object(
        content=blocks, usage=usage, stop_reason=reason, to_dict=lambda mode: {"id": "msg_1"}
    )
    reply = reply_of(message)
    assert (reply.text, reply.outcome) == ("Because.", outcome)
    assert reply.usage == {"input": 7, "output": 3, "cache_read": 0, "cache_write": 2}
    assert reply.response == {"id": "msg_1"}
