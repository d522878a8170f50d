"""Models behind HTTP, against a server that speaks the real wire formats to the real SDKs, and
fails in every way it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.llm.api import MESSAGE
from radio.llm.base import Call, Reply
from radio.llm.openai import OpenAIModel
from radio.llm.tally import HOPELESS
from radio.rationales import AnthropicWriter, OpenAIWriter
from radio.schema import InputError, Question
from tests.conftest import ROOT
from tests.llm.asking import APIS, PRICES, ask, failures, questions, rows, spent, writer
from tests.llm_server import serve
from tests.llm_wire import KEY

pytest.importorskip("openai", reason="the extra `openai` is not installed")


Radio = Callable[..., tuple[int, str, str]]


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
    assert spent(made) == pytest.approx(20 * (100 * 1 + 40 * 5) / 1e6)
    body = stats["bodies"][0]
    assert body["top_p"] == 0.9
    assert body["max_tokens"] == 300
    assert "lamp" in body["messages"][-1]["content"]


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
@pytest.mark.usefixtures("impatient")
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


# Windows, tokens, prices


def test_the_window_is_what_is_left_beside_the_answer() -> None:
    assert OpenAIModel("m", context_window=4096, max_tokens=96).window() == 4000
    assert OpenAIModel("m").window() is None
    with pytest.raises(InputError, match="context_window: found 96, expected more than max_tokens"):
        OpenAIModel("m", context_window=96, max_tokens=96).window()


def test_the_tokens_of_an_unknown_model_are_rather_too_many() -> None:
    made = OpenAIModel("a-local-model")
    text = "Which lamp burns in the tower because of fog? " * 20
    assert made.prompt_tokens("", text) > len(text.split()) * 1.2
    first = made.first_tokens(text, 50)
    assert text.startswith(first)
    assert made.prompt_tokens("", first) <= 50 + MESSAGE
    assert made.first_tokens(text, 0) == made.first_tokens(text, -1) == ""
    assert made.first_tokens(text, 10_000) == text


def test_the_price_of_a_reply_is_known_where_the_models_is() -> None:
    usage = {"input": 1000, "output": 100}
    made = OpenAIModel("gpt-test", prices=PRICES)
    assert made.price(usage) == pytest.approx((1000 * 1 + 100 * 5) / 1e6)
    assert OpenAIModel("another", prices=PRICES).price(usage) is None


@pytest.mark.parametrize("api", APIS)
def test_a_reply_has_the_seconds_of_the_try_that_succeeded(api: str, tmp_path: Path) -> None:
    with serve(tmp_path, "--latency", "0.1", "--faults", "0.3", "--kinds", "500") as server:
        model = writer(api, server.url)._language_model
        calls = [Call(f"k{n}", f"q{n}", "", lambda: "Question: Why?") for n in range(10)]
        found = [reply for _, reply in model.complete(calls, Cache(tmp_path / "c.sqlite"))]
    assert len(found) == 10
    assert all(isinstance(reply, Reply) and 0.05 <= reply.seconds < 5 for reply in found)
