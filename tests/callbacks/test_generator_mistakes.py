"""A generator that cannot be asked, or whose answers cannot be taken, ends the run with one message
and status 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.llm_server import serve
from tests.llm_wire import KEY

Radio = Callable[..., tuple[int, str, str]]

PARTS = '''
from radio.generators import Generator

class Short(Generator):
    """Gives one answer too few."""

    def answer(self, prompts):
        return ["captain4"] * (len(prompts) - 1)
'''


@pytest.fixture
def refused(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs ``radio validate`` with a generator; returns its message."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def run(kind: str, **settings: Any) -> str:
        generator = {"class_path": kind, "init_args": settings}
        callback = {"class_path": "GeneratorInTheLoop", "init_args": {"generator": generator}}
        status, out, err = radio(
            "validate", *tiny_run, "--trainer.callbacks", json.dumps([callback])
        )
        assert status == 2, out + err
        assert "Traceback" not in err
        assert err.count("radio: error:") == 1
        assert not (tmp_path / "runs/tiny/metrics.json").exists()
        return err.partition("radio: error:")[2]

    return run


def test_a_wrong_key_is_one_message(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-27ac")
    with serve(tmp_path / "server") as server:
        message = refused("OpenAIGenerator", model="gpt-test", base_url=f"{server.url}/v1")
    assert "refused the key in OPENAI_API_KEY (401" in message
    assert "sk-wrong-27ac" not in message


def test_no_key_at_all_is_one_message(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY is not set" in refused("OpenAIGenerator", model="gpt-test")


def test_an_unknown_model_is_one_message(refused: Callable[..., str], tmp_path: Path) -> None:
    with serve(tmp_path / "server") as server:
        message = refused("OpenAIGenerator", model="gpt-none", base_url=f"{server.url}/v1")
    assert "knows no model 'gpt-none'" in message


def test_a_prompt_that_shows_no_passages_is_one_message(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    prompt = tmp_path / "mine.txt"
    prompt.write_text("=== system\nAnswer.\n=== user\nQuestion: {question}\n")
    message = refused("OpenAIGenerator", model="gpt-test", prompt=str(prompt))
    assert "mine.txt" in message
    assert "{passages}" in message


def test_one_answer_too_few_is_one_message(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    message = refused("parts.Short")
    assert "Short.answer: found" in message
    assert "expected" in message


def test_a_window_without_room_for_question_and_instruction_is_one_message(
    refused: Callable[..., str], tiny_generator: str
) -> None:
    message = refused("TransformersGenerator", model=tiny_generator, max_length=16)
    assert "question and instruction have" in message
    assert "room for 16" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parser": "open"}, "parser: found 'open'"),
        ({"metrics": ["emm"]}, "metrics: found 'emm'"),
        ({"rankings": ["best"]}, "rankings: found 'best'"),
        ({"rankings": ["annotated"]}, "no question has annotated passages"),
        ({"closed_book": True}, "closed_book: found true with SpanReader"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_message(
    settings: dict[str, Any], message: str, radio: Radio, tiny_run: list[str], world: World
) -> None:
    callback = {"class_path": "GeneratorInTheLoop", "init_args": settings}
    status, _, err = radio("validate", *tiny_run, "--trainer.callbacks", json.dumps([callback]))
    assert status == 2
    assert message in err
    assert "Traceback" not in err
