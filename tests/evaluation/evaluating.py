"""What tests of a paid evaluation share: rankings, a generator behind HTTP, and a process that
evaluates and is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from radio.cache import Cache
from radio.evaluation.measure import Numbers
from radio.evaluation.reading import Readings, read
from radio.generators import Answer, Generator, Prompt, ask
from radio.llm import tries
from radio.schema import Candidate, Example, Passage, Question, Run
from tests.forked import Forked
from tests.llm.asking import load_clients, wait_for
from tests.llm_wire import KEY

APIS = ("anthropic", "openai")
DEPTHS = (1, 2, 3)
KILLS = 20
LATER = 70
"""A kill comes before so many more answers are there, so that none comes after the last one."""
CONCURRENCY = 4
PASSAGES = {f"p{n}": Passage(f"p{n}", f"Tower {n}\nIn tower {n} burns lamp {n}.") for n in range(6)}


def generator(api: str, url: str, **options: Any) -> Generator:
    # the extra may be missing where nothing of it is tested
    from radio.generators import AnthropicGenerator, OpenAIGenerator

    if api == "anthropic":
        return AnthropicGenerator("claude-test", base_url=url, **options)
    return OpenAIGenerator("gpt-test", base_url=f"{url}/v1", **options)


def examples(count: int, refused: Sequence[int] = ()) -> dict[str, Example]:
    """Questions by id; the server finds some of them too long."""
    found = {}
    for number in range(count):
        long = " (too long)" if number in refused else ""
        text = f"Which lamp burns in tower {number}{long}?"
        question = Question(f"q{number}", text, ("lamp 0",))
        candidates = tuple(Candidate(name, n, -n) for n, name in enumerate(PASSAGES))
        found[question.id] = Example(question, candidates)
    return found


def rankings(asked: dict[str, Example]) -> dict[str, Run]:
    """Two of them that share no prompt: six prompts for each question."""
    forwards = {name: -float(n) for n, name in enumerate(PASSAGES)}
    backwards = {name: float(n) for n, name in enumerate(PASSAGES)}
    return {"base": dict.fromkeys(asked, forwards), "tuned": dict.fromkeys(asked, backwards)}


def judge(prompt: Prompt, answer: Answer) -> tuple[str | None, Numbers]:
    return answer.text, {"em": float(answer.text in prompt.question.golden_answers)}


def evaluate(asking: Generator, asked: dict[str, Example], folder: Path) -> Readings:
    """An evaluation without a reranker: two orders, three depths."""
    return read(
        rankings(asked),
        asked,
        PASSAGES,
        DEPTHS,
        task="open_qa",
        closed_book=False,
        ask=partial(ask, asking, cache=Cache(folder / "radio.sqlite")),
        judge=judge,
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in Cache(folder / "radio.sqlite").items_json("answer")]


def started(way: str, url: str, folder: Path, count: int) -> Forked:
    """A process that evaluates, or that does so again and again and is killed in between."""
    command = [sys.executable, "-m", "tests.evaluation.evaluating", way, url]
    with open(os.devnull, "w") as nowhere:
        return Forked([*command, str(folder), str(count)], stderr=nowhere.fileno())


def main(way: str, url: str, folder: str, count: str) -> int:
    os.environ.update(ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY=KEY)
    # a second try comes at once
    tries.FIRST_WAIT = 0.01
    asked = examples(int(count))

    def work() -> None:
        mine = generator("openai", url, timeout=10.0, retries=20, concurrency=CONCURRENCY)
        evaluate(mine, asked, Path(folder))

    rng = random.Random(19)
    load_clients()
    for _ in range(KILLS if way == "killed" else 0):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        wait_for("answer", rng.randrange(LATER), Path(folder), child)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with (Path(folder) / "kills.jsonl").open("a") as file:
            file.write(json.dumps(len(rows(Path(folder)))) + "\n")
    work()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
