"""Answers that came, or are on their way, are kept whatever ends a run; and few wait at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.llm.api import ApiModel
from radio.llm.arrivals import KIND, Arrivals, Stop, keep, kept
from radio.llm.base import Call, Failure, Reply, Result
from radio.llm.tally import HOPELESS, Tally
from radio.llm.tries import NoAnswerError, Tries
from radio.schema import InputError
from tests.conftest import PATIENCE
from tests.llm import asking
from tests.llm.other_servers import APIS, ask, completion, server, writer
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")

AT_ONCE = 30
"""Requests in flight of the tests below: more than may fail in a row."""


def reason(said: str) -> str:
    return json.dumps({"error": {"type": "error", "message": said}})


def tell_when_raised(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, event: threading.Event
) -> None:
    """Set an event as soon as a method says that the run has to end."""
    method: Callable[..., Any] = getattr(owner, name)

    def told(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options)
        except InputError as error:
            if not isinstance(error, NoAnswerError):
                event.set()
            raise

    monkeypatch.setattr(owner, name, told)


# A request that ends the run


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("status", "bad", "message"),
    [
        (401, 1, "refused the key"),
        (402, 1, "no money or quota left"),
        (404, 1, "knows no model"),
        (400, HOPELESS, "20 questions in a row failed"),
    ],
)
def test_what_is_under_way_when_a_run_has_to_end_is_stored_and_nothing_more_is_begun(
    api: str,
    status: int,
    bad: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, all_there = threading.Event(), threading.Barrier(AT_ONCE)
    tell_when_raised(monkeypatch, Tries, "wait", over)
    tell_when_raised(monkeypatch, Tally, "failure", over)
    lock, numbers = threading.Lock(), iter(range(10_000))
    good = ("application/json", completion(api, "Because of the lamp."))

    def say(path: str) -> tuple[str, str] | tuple[str, str, int]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        with lock:
            number = next(numbers)
        if 1 <= number <= AT_ONCE:
            all_there.wait(PATIENCE)
        if 1 <= number <= bad:
            return "application/json", reason("no"), status
        if number:
            # these answers come when the run has to end
            assert over.wait(PATIENCE)
        return good

    with server(say) as other:
        made = writer(api, other.url, concurrency=AT_ONCE)
        with pytest.raises(InputError, match=message):
            ask(made, 100, tmp_path)
        asked = sum(count for path, count in other.calls.items() if "count" not in path)
        # whoever fails asks the next one, as long as fewer than `bad` have
        assert 1 + AT_ONCE <= asked <= AT_ONCE + bad
        stored = asked - bad
        assert len(asking.rows(tmp_path)) == stored
        again = ask(writer(api, other.url, concurrency=AT_ONCE), 100, tmp_path)
    assert again == {"cached": stored, "written": 100 - stored}


@pytest.mark.parametrize("api", APIS)
def test_who_waits_for_another_try_does_not_keep_a_run_from_its_end(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radio.llm.tries.FIRST_WAIT", 10.0 * PATIENCE)
    monkeypatch.setattr("radio.llm.tries.LONGEST_WAIT", 10.0 * PATIENCE)
    waits, sleep = threading.Event(), asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds > PATIENCE:
            waits.set()
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    lock, numbers = threading.Lock(), iter(range(10_000))

    def say(path: str) -> tuple[str, str] | tuple[str, str, int]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        with lock:
            number = next(numbers)
        if number == 0:
            return "application/json", completion(api, "Because of the lamp.")
        if number == 1:
            return "application/json", reason("try again"), 500
        assert waits.wait(PATIENCE)
        return "application/json", reason("no money"), 402

    with server(say) as other, pytest.raises(InputError, match="no money or quota left"):
        ask(writer(api, other.url, concurrency=2), 10, tmp_path)


def test_all_that_wait_end_at_the_first_reason_to_stop() -> None:
    stop, first = Stop(), InputError("no money")

    async def waiting() -> None:
        with stop.idle():
            await asyncio.sleep(10.0 * PATIENCE)

    async def run() -> None:
        tasks = [asyncio.create_task(waiting()) for _ in range(3)]
        await asyncio.sleep(0)
        stop.because(first)
        stop.because(InputError("another"))
        late = asyncio.create_task(waiting())
        ended = await asyncio.gather(*tasks, late, return_exceptions=True)
        assert [type(end) for end in ended] == [asyncio.CancelledError] * 4

    asyncio.run(run())
    assert stop.error is first


# Whoever stores goes away


def stop_at(
    monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], ready: Callable[[], None], error: Any
) -> None:
    """Let the fifth entry of these kinds, and all after it, fail to be stored."""
    put_json, count = Cache.put_json, iter(range(1, 1000))

    def failing(self: Cache, kind: str, items: Mapping[str, Any]) -> None:
        if kind in kinds and items and next(count) >= 5:
            ready()
            raise error
        put_json(self, kind, items)

    monkeypatch.setattr(Cache, "put_json", failing)


class Paid:
    """Counts the replies that have come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._more = threading.Condition()
        paid: Callable[..., Reply] = ApiModel.paid

        def counted(model: ApiModel, *args: Any) -> Reply:
            with self._more:
                self.count += 1
                self._more.notify_all()
            return paid(model, *args)

        monkeypatch.setattr(ApiModel, "paid", counted)

    def wait(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.count >= count, PATIENCE)


@pytest.mark.parametrize("api", APIS)
def test_what_has_come_when_a_run_is_interrupted_is_not_asked_for_again(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asking.questions(60)
    with serve(tmp_path) as server:
        with monkeypatch.context() as patch:
            paid = Paid(patch)
            # four are stored, the fifth is about to be, and seven more wait behind it
            stop_at(patch, ("rationale",), lambda: paid.wait(4 + 8), KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                asking.ask(asking.writer(api, server.url, concurrency=8), asked, tmp_path)
        assert paid.count == 4 + 8, "no more than `concurrency` answers wait for the disk"
        assert len(asking.rows(tmp_path)) == 4
        assert len(Cache(tmp_path / "radio.sqlite").items_json(KIND)) == 8
        made = asking.writer(api, server.url, prices=asking.PRICES)
        assert asking.ask(made, asked, tmp_path) == {"cached": 4, "written": 56}
        answered = server.stats()["answered"]
    assert set(answered.values()) == {1}
    assert len(answered) == len(asking.rows(tmp_path)) == 60
    assert Cache(tmp_path / "radio.sqlite").items_json(KIND) == []
    assert asking.spent(made) == pytest.approx(48 * (100 * 1 + 40 * 5) / 1e6)


def test_a_full_disk_loses_no_more_answers_than_calls_may_be_under_way_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = InputError("radio.sqlite: the disk is full")
    with serve(tmp_path) as server:
        with monkeypatch.context() as patch:
            paid = Paid(patch)
            stop_at(patch, ("rationale", KIND), lambda: paid.wait(4 + 8), full)
            made = asking.writer("openai", server.url, concurrency=8)
            with (
                pytest.warns(UserWarning, match="8 answers that had come could not be kept"),
                pytest.raises(InputError, match="the disk is full"),
            ):
                asking.ask(made, asking.questions(60), tmp_path)
        assert paid.count == 4 + 8
        assert len(asking.rows(tmp_path)) == 4


@pytest.mark.parametrize("api", APIS)
def test_ctrl_c_does_not_wait_for_a_server_that_is_silent(api: str, tmp_path: Path) -> None:
    numbers, over = iter(range(1000)), threading.Event()
    price = {"input": 0.0, "output": 1000.0}
    prices = {"claude-test": price, "a-local-model": price}

    def say(path: str) -> tuple[str, str]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        if next(numbers) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            assert over.wait(PATIENCE)
        return "application/json", completion(api, "Because of the lamp.")

    with server(say) as other:
        # a test run in the background of a shell ignores Ctrl-C
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            made = writer(api, other.url, concurrency=1, timeout=10.0 * PATIENCE, prices=prices)
            with pytest.raises(KeyboardInterrupt):
                ask(made, 10, tmp_path)
            assert "at most $0.30 more" in made.status(), "the server goes on with its answer"
        finally:
            over.set()
            signal.signal(signal.SIGINT, heard)
        assert ask(writer(api, other.url), 10, tmp_path) == {"cached": 3, "written": 7}


# From the thread that asks to the one that stores


def call(key: str) -> Call:
    return Call(key, f"question {key}", "", lambda: "Why?")


def test_results_come_in_order_each_waits_to_be_stored_and_the_error_comes_last() -> None:
    loop = asyncio.new_event_loop()
    arrivals = Arrivals(loop)
    results: list[Result] = [(call(key), Reply(key, "written", {})) for key in "abc"]
    stored: list[str] = []

    async def ask_all() -> None:
        for result in results:
            await arrivals.store(result)
            assert stored[-1] == result[0].key

    def work() -> None:
        try:
            loop.run_until_complete(ask_all())
        finally:
            arrivals.end(InputError("no money"))

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(InputError, match="no money"):
        stored.extend(result[0].key for result in arrivals)
    thread.join()
    loop.close()
    assert stored == ["a", "b", "c"]
    assert arrivals.unstored() == []


def test_replies_that_nobody_stored_are_kept_for_whoever_asks_for_them(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite")
    reply = Reply("Because \ud83d", "truncated", {"output": 9}, {"id": "m"}, 0.5)
    keep([(call("a"), reply), (call("b"), Failure("b", "too long")), (call("c"), reply)], cache)
    calls = [call("x"), call("b"), call("a")]
    assert list(kept(calls, cache)) == [(calls[2], reply)]
    assert list(kept(calls, cache)) == []
    first = next(kept([call("c")], cache))
    assert first[1] == reply, "as long as the next one is not taken it may not be stored"
    assert len(list(kept([call("c")], cache))) == 1


def test_a_kept_reply_that_was_cut_is_asked_for_again_with_a_higher_limit(tmp_path: Path) -> None:
    asked = asking.questions(1)
    with serve(tmp_path) as server:
        for limit, calls in ((300, 0), (400, 1)):
            made = asking.writer("openai", server.url, max_tokens=limit)
            cut = Reply("Because", "truncated", {"output": 300})
            cache = Cache(tmp_path / f"{limit}" / "radio.sqlite")
            keep([(call(made.key(asked[0])), cut)], cache)
            asking.ask(made, asked, tmp_path / f"{limit}")
            assert server.stats()["calls"].get("/v1/chat/completions", 0) == calls
            assert cache.items_json(KIND) == []


def test_what_was_kept_is_in_no_batch(tmp_path: Path) -> None:
    asked = asking.questions(1)
    with serve(tmp_path) as server:
        made = asking.batches(server.url)
        reply = Reply("Because of the lamp.", "written", {"output": 9})
        keep([(call(made.key(asked[0])), reply)], Cache(tmp_path / "radio.sqlite"))
        assert asking.ask(made, asked, tmp_path) == {"written": 1, "cached": 0}
        assert server.stats()["batches"] == 0
