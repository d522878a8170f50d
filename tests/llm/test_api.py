"""Writers against a server that speaks the real wire formats to the real SDKs, and fails in every
way it can."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.llm.api import HOPELESS, ApiWriter
from radio.rationales import AnthropicWriter, OpenAIWriter, Request, fill
from radio.schema import InputError, Passage, Question
from tests.conftest import PATIENCE, ROOT
from tests.llm_server import KEY, serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")
APIS = ("anthropic", "openai")
PRICES = {
    "claude-test": {"input": 1.0, "output": 5.0, "batch": 0.5},
    "gpt-test": {"input": 1.0, "output": 5.0},
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def questions(count: int) -> list[Question]:
    return [
        Question(f"q{n}", f"Which lamp burns in tower {n}?", (f"lamp {n}",)) for n in range(count)
    ]


def writer(api: str, url: str, **options: Any) -> ApiWriter:
    if api == "anthropic":
        return AnthropicWriter("claude-test", base_url=url, **options)
    return OpenAIWriter("gpt-test", base_url=f"{url}/v1", **options)


def ask(writer: ApiWriter, asked: Sequence[Question], folder: Path) -> Counter[str]:
    requests = [Request(writer.key(q), q) for q in asked]
    return fill(
        writer, requests, Cache(folder / "radio.sqlite"), folder / "failures.jsonl", "rationales"
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for _, row in Cache(folder / "radio.sqlite").items_json("rationale")]


def failures(folder: Path) -> dict[str, str]:
    path = folder / "failures.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["id"]: row["error"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("api", APIS)
def test_rationales_are_written_once_and_kept_with_all_that_the_server_said(
    api: str, tmp_path: Path
) -> None:
    asked = questions(20)
    again = [*asked, Question("other-id", asked[0].question, asked[0].golden_answers)]
    with serve(tmp_path) as server:
        made = writer(api, server.url, sampling={"top_p": 0.9}, prices=PRICES)
        assert ask(made, again, tmp_path) == {"written": 20, "cached": 0}
        assert ask(writer(api, server.url, sampling={"top_p": 0.9}), again, tmp_path) == {
            "cached": 20
        }
        stats = server.stats()
    assert set(stats["answered"].values()) == {1}
    assert len(stats["answered"]) == 20
    row = next(row for row in rows(tmp_path) if row["id"] == "q3")
    assert row["question"] == asked[3].question
    assert row["rationale"].startswith("Because of the facts")
    assert (row["usage"]["input"], row["usage"]["output"]) == (100, 40)
    assert row["response"]["id"].startswith("msg_" if api == "anthropic" else "chatcmpl-")
    assert row["prompt"] == made.prompt
    assert made._spent == pytest.approx(20 * (100 * 1 + 40 * 5) / 1e6)
    body = stats["bodies"][0]
    assert body["top_p"] == 0.9
    assert body["max_tokens"] == 300
    assert "lamp" in body["messages"][-1]["content"]


@pytest.mark.parametrize("api", APIS)
def test_a_thousand_questions_survive_a_server_of_which_a_third_of_the_replies_fail(
    api: str, tmp_path: Path
) -> None:
    asked = questions(1000)
    with serve(tmp_path, "--faults", "0.3", "--latency", "0.02") as server:
        made = writer(api, server.url, concurrency=100, timeout=15.0, retries=12)
        outcomes = ask(made, asked, tmp_path)
        stats = server.stats()
    assert set(stats["faults"]) == set("429 500 529 drop stall truncate refusal".split()), (
        "every fault happened"
    )
    found = rows(tmp_path)
    assert len(found) + len(failures(tmp_path)) == 1000
    assert outcomes["failed"] == len(failures(tmp_path)) <= 1
    assert outcomes["refused"] == stats["faults"]["refusal"]
    assert {row["question"] for row in found} == set(stats["answered"]), (
        "what was answered is in the cache"
    )
    assert set(stats["answered"].values()) == {1}, "nothing is asked for after it was answered"
    assert sum(row["outcome"] == "refused" for row in found) == outcomes["refused"]


def noting(
    waits: list[float], sleep: Callable[[float], Awaitable[None]]
) -> Callable[[float], Awaitable[None]]:
    """``sleep`` that notes for how long."""

    def noted(seconds: float) -> Awaitable[None]:
        waits.append(seconds)
        return sleep(seconds)

    return noted


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("key", r"refused the key in \w+_API_KEY \(401: invalid key: "),
        ("model", "knows no model 'nobody'"),
        ("url", "cannot reach http://127.0.0.1:9"),
        ("quota", "no money or quota left"),
        ("no key", r"\w+_API_KEY is not set"),
    ],
)
def test_what_no_retry_helps_ends_the_run_at_once_with_one_message(
    api: str, case: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{api.upper()}_API_KEY"
    if case in ("key", "no key"):
        monkeypatch.setenv(name, "sk-of-someone-else" if case == "key" else "")
    with serve(tmp_path, *(["--quota", api] if case == "quota" else [])) as server:
        # a local server may need no key: only the provider's own address does
        url = {"url": "http://127.0.0.1:9", "no key": None}.get(case, server.url)
        kind: Any = AnthropicWriter if api == "anthropic" else OpenAIWriter
        address = url and (url if api == "anthropic" else f"{url}/v1")
        made = kind(
            "nobody" if case == "model" else "claude-test", base_url=address, concurrency=50
        )
        waits: list[float] = []
        monkeypatch.setattr(asyncio, "sleep", noting(waits, asyncio.sleep))
        with pytest.raises(InputError, match=message) as caught:
            ask(made, questions(200), tmp_path)
        assert sum(waits) < 8, "seconds between tries"
        calls = server.stats()["calls"]
    assert sum(calls.values()) <= 2, "not one call for each question"
    assert "sk-of-someone-else" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_question_that_the_server_rejects_is_a_failure_of_its_own(tmp_path: Path) -> None:
    asked = [*questions(5), Question("long", "A question that is too long?", ("x",))]
    with serve(tmp_path) as server:
        for _ in range(2):
            assert ask(writer("anthropic", server.url), asked, tmp_path)["failed"] == 1
            assert "prompt is too long" in failures(tmp_path)["long"]
        assert server.stats()["calls"]["/v1/messages"] == 7, (
            "the next run tries the failed one again, once"
        )
    assert ask(writer("anthropic", "http://127.0.0.1:9"), asked[:5], tmp_path) == {"cached": 5}


def test_a_setting_that_the_server_does_not_take_ends_the_run(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = writer("anthropic", server.url, sampling={"temperature": 0.2})
        with pytest.raises(
            InputError, match=r"20 questions in a row failed.*temperature: Extra inputs"
        ):
            ask(made, questions(500), tmp_path)
        assert server.stats()["calls"]["/v1/messages"] <= HOPELESS + 16


@pytest.mark.parametrize("api", APIS)
def test_a_cut_answer_is_asked_for_again_only_with_a_higher_limit(api: str, tmp_path: Path) -> None:
    asked = [Question("q", "Please cut me off?", ("yes",))]
    with serve(tmp_path) as server:
        for limit, calls in ((300, 1), (300, 1), (400, 2)):
            ask(writer(api, server.url, max_tokens=limit), asked, tmp_path)
            assert server.stats()["answered"] == {"Please cut me off?": calls}
    assert [row["outcome"] for row in rows(tmp_path)] == ["truncated"]


def test_spending_stops_before_max_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # an answer costs 100 + 5 * 40 = 300 millionths of a dollar, and may cost five times that
    with serve(tmp_path) as server:
        made = writer("anthropic", server.url, prices=PRICES, max_cost=0.02, concurrency=4)
        outcomes = ask(made, questions(200), tmp_path)
        answered = len(server.stats()["answered"])
        assert 0 < answered < 200
        assert answered == outcomes["written"] == len(rows(tmp_path))
        assert 0.01 < made._spent <= 0.02
        text = capsys.readouterr().err
        assert "rationales: 200 of 200 missing; about" in text
        assert "counted by the API on 20" in text
        assert "stops before $0.02" in text
        assert "stopped at max_cost" in text
        assert "raise it to go on" in made.hint()
        ask(writer("anthropic", server.url, prices=PRICES, max_cost=1.0), questions(200), tmp_path)
        assert set(server.stats()["answered"].values()) == {1}
    with pytest.raises(InputError, match="prices has no entry for 'claude-test'"):
        writer("anthropic", server.url, max_cost=1.0)


def test_the_estimate_says_how_tokens_were_counted(tmp_path: Path) -> None:
    asked = [Request("k", question) for question in questions(3)]
    made = OpenAIWriter("a-local-model", base_url="http://127.0.0.1:9/v1")
    assert "3.5 characters a token, as tiktoken does not know a-local-model" in made.estimate(asked)
    assert "no price is known for a-local-model" in made.estimate(asked)


def test_the_budget_of_requests_a_minute_is_kept(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        start = time.monotonic()
        ask(writer("openai", server.url, requests_per_minute=1200), questions(41), tmp_path)
        assert time.monotonic() - start >= 40 * 60 / 1200


def test_two_processes_that_start_together_pay_once(tmp_path: Path) -> None:
    with serve(tmp_path, "--latency", "0.05") as server:
        command = [sys.executable, __file__, "openai", server.url, str(tmp_path), "100"]
        both = [subprocess.Popen(command) for _ in range(2)]
        assert [process.wait(PATIENCE) for process in both] == [0, 0]
        assert set(server.stats()["answered"].values()) == {1}
    assert len(rows(tmp_path)) == 100


def killed(way: str, url: str, folder: Path, count: int, longest: float) -> None:
    """Start to write, kill -9 after at most ``longest`` seconds, 50 times over; then let it
    finish."""
    command = [sys.executable, __file__, way, url, str(folder), str(count), str(longest)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
def test_kill_9_at_fifty_moments_loses_no_answer(api: str, tmp_path: Path) -> None:
    with serve(
        tmp_path, "--faults", "0.3", "--kinds", "429", "500", "drop", "--latency", "0.05"
    ) as server:
        killed(api, server.url, tmp_path, 1500, 0.8)
        answered = server.stats()["answered"]
    assert {row["question"] for row in rows(tmp_path)} == set(answered)
    assert len(answered) == 1500
    again = Counter(answered)
    again.subtract(dict.fromkeys(answered, 1))
    # 16 calls were under way at each kill
    assert again.total() <= 50 * 16
    assert sqlite3.connect(tmp_path / "radio.sqlite").execute(
        "PRAGMA integrity_check"
    ).fetchone() == ("ok",)


@pytest.mark.slow
def test_kill_9_pays_for_no_batch_twice(tmp_path: Path) -> None:
    options = ("--batch-seconds", "1.0", "--faults", "0.2", "--kinds", "500", "drop", "truncate")
    with serve(tmp_path, *options) as server:
        killed("batches", server.url, tmp_path, 1000, 0.5)
        stats = server.stats()
    assert set(stats["answered"].values()) == {1}
    assert {row["question"] for row in rows(tmp_path)} == set(stats["answered"])
    assert len(stats["answered"]) == 1000
    assert stats["batches"] == 4
    assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []


def batches(url: str, **options: Any) -> AnthropicWriter:
    return AnthropicWriter(
        "claude-test", base_url=url, mode="batches", poll_seconds=0.05, prices=PRICES, **options
    )


def test_batches_are_split_and_cost_half(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = batches(server.url, batch_size=30)
        assert ask(made, questions(100), tmp_path) == {"written": 100, "cached": 0}
        assert server.stats()["batches"] == 4
        assert made._spent == pytest.approx(100 * (100 * 1 + 40 * 5) / 1e6 / 2)
        plain = writer("anthropic", server.url)
        assert ask(plain, questions(100), tmp_path) == {"cached": 100}, (
            "the way of ordering is not part of the key"
        )


def test_a_batch_whose_acceptance_was_never_seen_is_found_again(tmp_path: Path) -> None:
    with serve(tmp_path, "--batch-drop", "1.0") as server:
        with pytest.raises(InputError, match="the next run looks whether it was accepted"):
            ask(batches(server.url), questions(50), tmp_path)
        assert ask(batches(server.url), questions(50), tmp_path)["written"] == 50
        assert server.stats()["batches"] == 1


def test_expired_and_rejected_requests_of_a_batch_are_failures_that_the_next_run_retries(
    tmp_path: Path,
) -> None:
    asked = [
        *questions(10),
        Question("e", "Will this expire?", ("yes",)),
        Question("l", "Is it too long?", ("yes",)),
    ]
    with serve(tmp_path) as server:
        assert ask(batches(server.url), asked, tmp_path) == {
            "written": 10,
            "failed": 2,
            "cached": 0,
        }
        assert "expired" in failures(tmp_path)["e"]
        assert "too long" in failures(tmp_path)["l"]
        ask(batches(server.url), asked, tmp_path)
        assert Counter(server.stats()["answered"].values()) == {1: 10, 2: 2}


def test_a_batch_that_is_gone_is_a_failure_and_asked_for_anew(tmp_path: Path) -> None:
    with serve(tmp_path / "first") as server:
        made = batches(server.url)
        key = made.key(questions(1)[0])
    cache = Cache(tmp_path / "radio.sqlite")
    cache.put_json(
        "batch", {"b": {"id": "msgbatch_gone", "keys": [key], "time": "2026-01-01T00:00:00+00:00"}}
    )
    with serve(tmp_path / "second") as server:
        assert ask(batches(server.url), questions(1), tmp_path)["failed"] == 1
        assert "msgbatch_gone is no longer at the server" in failures(tmp_path)["q0"]
        assert ask(batches(server.url), questions(1), tmp_path)["written"] == 1


def test_no_batch_is_submitted_that_could_exceed_max_cost(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = batches(server.url, batch_size=20, max_cost=0.03)
        outcomes = ask(made, questions(100), tmp_path)
        assert 0 < outcomes["written"] < 100
        assert made._spent <= 0.03


def test_a_long_fixed_prefix_is_marked_for_the_prompt_cache(tmp_path: Path) -> None:
    prompt = tmp_path / "long.txt"
    prompt.write_text(
        "=== system\n"
        + "Explain with care. " * 400
        + "\n=== user\nQuestion: {question}\n{answers}\n"
    )
    assert "cache_control" not in AnthropicWriter().body("x")["system"][0]
    body = AnthropicWriter(prompt=str(prompt)).body("x")
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_passages_are_part_of_the_key_only_if_the_prompt_shows_them() -> None:
    question, passages = questions(1)[0], [Passage("p1", "A\nlamp"), Passage("p2", "B\ntower")]
    made = AnthropicWriter(prompt="passages", passages=2)
    assert made.passages_shown == 2
    keys = {
        made.key(question, passages),
        made.key(question, passages[:1]),
        made.key(question, passages[::-1]),
    }
    assert len(keys) == 3
    assert AnthropicWriter().passages_shown == 0


@pytest.mark.parametrize(
    "change", ["model", "prompt", "sampling", "concurrency", "max_tokens", "base_url"]
)
def test_only_what_changes_the_answer_changes_the_key(change: str) -> None:
    plain: dict[str, Any] = {"model": "gpt-test", "sampling": {"temperature": 0.2}}
    other = {
        "model": "gpt-4o",
        "prompt": "hops",
        "sampling": {"temperature": 0.3},
        "concurrency": 99,
        "max_tokens": 999,
        "base_url": "http://127.0.0.1:9",
    }[change]
    question = questions(1)[0]
    same = OpenAIWriter(**plain).key(question) == OpenAIWriter(**{**plain, change: other}).key(
        question
    )
    assert same == (change in ("concurrency", "max_tokens", "base_url"))


Radio = Callable[..., tuple[int, str, str]]


def test_a_key_reaches_no_file(
    radio: Radio, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tmp_path / "server", "--faults", "0.2", "--kinds", "500", "drop") as server:
        arguments = [*tiny_run, "--data.init_args.rationales", "AnthropicWriter"]
        index = arguments.index("--data.init_args.rationales.init_args.paths")
        del arguments[index : index + 2]
        arguments += ["--data.init_args.rationales.init_args.model", "claude-test"]
        # this server knows no answers
        arguments += ["--data.init_args.rationale_filters", "[empty]"]
        arguments += ["--config", str(ROOT / "configs/loggers/wandb.yaml")]
        monkeypatch.setenv("WANDB_MODE", "offline")
        arguments += ["--data.init_args.rationales.init_args.base_url", server.url]
        status, out, err = radio(
            "fit", *arguments, "--data.init_args.cache_dir", str(tmp_path / "cache")
        )
    assert status == 0, err
    assert "rationales: 16 of 16 missing" in err
    texts = {"stdout": out.encode(), "stderr": err.encode()}
    texts |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(name.endswith("radio.sqlite") for name in texts)
    assert any(name.endswith("config.yaml") for name in texts)
    assert any(name.endswith(".wandb") for name in texts)
    assert [name for name, text in texts.items() if KEY.encode() in text] == []


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
    _ = AnthropicWriter().sdk.AsyncAnthropic, OpenAIWriter().sdk.AsyncOpenAI
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
