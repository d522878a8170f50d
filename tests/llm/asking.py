"""What tests of language models share: questions, writers that ask a server, and a process that
asks and is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.llm.anthropic import AnthropicModel
from radio.llm.api import ApiModel
from radio.llm.openai import OpenAIModel
from radio.rationales import AnthropicWriter, OpenAIWriter, Request, fill
from radio.rationales.writers import PromptWriter
from radio.schema import Question
from tests import forked
from tests.llm_wire import KEY

APIS = ("anthropic", "openai")
PRICES = {
    "claude-test": {"input": 1.0, "output": 5.0, "batch": 0.5},
    "gpt-test": {"input": 1.0, "output": 5.0},
}


def questions(count: int) -> list[Question]:
    return [
        Question(f"q{n}", f"Which lamp burns in tower {n}?", (f"lamp {n}",)) for n in range(count)
    ]


def writer(api: str, url: str, **options: Any) -> PromptWriter:
    if api == "anthropic":
        return AnthropicWriter("claude-test", base_url=url, **options)
    return OpenAIWriter("gpt-test", base_url=f"{url}/v1", **options)


def batches(url: str, **options: Any) -> AnthropicWriter:
    return AnthropicWriter(
        "claude-test", base_url=url, mode="batches", poll_seconds=0.05, prices=PRICES, **options
    )


def ask(writer: PromptWriter, asked: Sequence[Question], folder: Path) -> Counter[str]:
    requests = [Request(writer.key(q), q) for q in asked]
    return fill(
        writer, requests, Cache(folder / "radio.sqlite"), folder / "failures.jsonl", "rationales"
    )


def spent(writer: PromptWriter) -> float:
    """US dollars."""
    model = writer._language_model
    assert isinstance(model, ApiModel)
    return model._money.spent


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in Cache(folder / "radio.sqlite").items_json("rationale")]


def failures(folder: Path) -> dict[str, str]:
    path = folder / "failures.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["id"]: row["error"] for row in map(json.loads, lines)}


def killed(way: str, url: str, folder: Path, count: int, longest: float) -> None:
    """Start to write, kill -9 after at most ``longest`` seconds, 50 times over; then let it
    finish."""
    done = forked.run(command(way, url, folder, count, longest))
    assert done.returncode == 0, done.stderr


def command(way: str, url: str, folder: Path, *numbers: float) -> list[str]:
    """:func:`main` in a process of its own."""
    arguments = [way, url, str(folder), *map(str, numbers)]
    return [sys.executable, "-m", "tests.llm.asking", *arguments]


def main(way: str, url: str, folder: str, count: str, longest: str = "") -> int:
    """What the tests above run in a process of its own, and kill."""
    os.environ.update(ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=KEY)

    def work() -> None:
        mine = (
            batches(url, batch_size=250)
            if way == "batches"
            else writer(way, url, timeout=10.0, retries=20)
        )
        ask(mine, questions(int(count)), Path(folder))

    rng = random.Random(1)
    # a fork has all modules loaded, so that the kill falls into the work and not into the imports
    _ = AnthropicModel().sdk.AsyncAnthropic, OpenAIModel().sdk.AsyncOpenAI
    for _ in range(50 if longest else 0):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        time.sleep(rng.uniform(0, float(longest)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    work()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
