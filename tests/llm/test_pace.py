"""A minute holds no more than it may."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from radio.llm.pace import Pace
from tests.llm.asking import ask, questions, writer
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")


def test_the_budget_of_requests_a_minute_is_kept(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        start = time.monotonic()
        ask(writer("openai", server.url, requests_per_minute=1200), questions(41), tmp_path)
        assert time.monotonic() - start >= 40 * 60 / 1200


def starts(pace: Pace, tokens: list[float]) -> list[float]:
    """When requests of so many tokens start, in seconds of a clock of their own."""

    async def run() -> list[float]:
        clock = asyncio.get_running_loop().time
        begin, found = clock(), []
        for count in tokens:
            await pace.wait(count)
            found.append(clock() - begin)
        return found

    return asyncio.run(run())


def test_requests_are_spaced_by_their_tokens_where_these_are_scarcer() -> None:
    # 6 ms a request, 10 ms a token
    pace = Pace(requests_per_minute=10_000, tokens_per_minute=6_000)
    found = starts(pace, [1, 5, 0, 0])
    assert found[1] >= 0.010
    assert found[2] >= 0.060
    assert found[3] >= 0.066


def test_a_request_of_more_tokens_than_a_minute_holds_is_let_through_and_the_next_one_waits() -> (
    None
):
    pace = Pace(None, tokens_per_minute=60_000)
    found = starts(pace, [100, 0])
    assert found[1] >= 0.1


def test_all_wait_for_the_end_of_a_pause() -> None:
    pace = Pace(None, None)

    async def run() -> float:
        clock = asyncio.get_running_loop().time
        begin = clock()
        pace.pause(0.05)
        await asyncio.gather(*(pace.wait(1) for _ in range(3)))
        return clock() - begin

    assert asyncio.run(run()) >= 0.05
