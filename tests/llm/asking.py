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
from tests.conftest import entries
from tests.llm_wire import KEY

APIS = ("anthropic", "openai")
KILLS = 50
LATER = 20
"""A kill comes before so many more answers are there, so that none comes after the last one."""
PRICES = {
    "claude-test": {"input": 1.0, "output": 5.0, "batch": 0.5},
    "gpt-test": {"input": 1.0, "output": 5.0, "batch": 0.5},
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


def file_batches(url: str, **options: Any) -> OpenAIWriter:
    return OpenAIWriter(
        "gpt-test",
        base_url=f"{url}/v1",
        mode="batches",
        poll_seconds=0.05,
        prices=PRICES,
        **options,
    )


WAYS = {"batches": batches, "file batches": file_batches}


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
    """Start to write, kill -9, 50 times over; then let it finish.

    A kill comes at most ``longest`` seconds after the start, or after some more answers.
    """
    done = forked.run(command(way, url, folder, count, longest))
    assert done.returncode == 0, done.stderr


def command(way: str, url: str, folder: Path, *numbers: float) -> list[str]:
    """:func:`main` in a process of its own."""
    arguments = [way, url, str(folder), *map(str, numbers)]
    return [sys.executable, "-m", "tests.llm.asking", *arguments]


def load_clients() -> None:
    """Load all modules of the clients, so that the kill of a fork falls into the work and not into
    the imports; what they connect with is loaded when one is made."""
    _ = AnthropicModel().sdk.AsyncAnthropic(api_key=KEY).messages
    _ = OpenAIModel().sdk.AsyncOpenAI(api_key=KEY).chat.completions


def wait_for(kind: str, more: int, folder: Path, child: int) -> None:
    """Wait until so many more entries of a kind are there, and not so many seconds: a busy machine
    has none by then; or until the child that writes them has ended."""
    cache = Cache(folder / "radio.sqlite")
    wanted = entries(cache).get(kind, 0) + more
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while os.waitid(os.P_PID, child, ended) is None:
        if entries(cache).get(kind, 0) >= wanted:
            return
        time.sleep(0.01)


def main(way: str, url: str, folder: str, count: str, longest: str = "") -> int:
    """What the tests above run in a process of its own, and kill."""
    os.environ.update(ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=KEY)

    def work() -> None:
        if way in WAYS:
            mine: PromptWriter = WAYS[way](url, batch_size=250)
        else:
            mine = writer(way, url, timeout=10.0, retries=20)
        ask(mine, questions(int(count)), Path(folder))

    rng = random.Random(1)
    load_clients()
    for _ in range(KILLS if longest else 0):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        if way not in WAYS:
            wait_for("rationale", rng.randrange(LATER), Path(folder), child)
        time.sleep(rng.uniform(0, float(longest)))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    work()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
