"""What is spent stays below the limit, whatever the server sends for it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from radio.llm.api import ApiModel
from radio.llm.money import Money
from radio.llm.problems import Problems
from radio.rationales.writers import PromptWriter
from radio.schema import InputError, Question
from tests.llm import other_servers
from tests.llm.asking import (
    APIS,
    PRICES,
    ask,
    batches,
    failures,
    file_batches,
    questions,
    rows,
    spent,
    writer,
)
from tests.llm.other_servers import PAGE, completion, server
from tests.llm_server import serve

openai = pytest.importorskip("openai", reason="the extra `openai` is not installed")


def test_spending_stops_before_max_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # an answer costs 100 + 5 * 40 = 300 millionths of a dollar, and may cost five times that
    with serve(tmp_path) as server:
        made = writer("anthropic", server.url, prices=PRICES, max_cost=0.02, concurrency=4)
        outcomes = ask(made, questions(200), tmp_path)
        answered = len(server.stats()["answered"])
        assert 0 < answered < 200
        assert answered == outcomes["written"] == len(rows(tmp_path))
        assert 0.01 < spent(made) <= 0.02
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


def test_what_is_under_way_counts_for_the_limit() -> None:
    money = Money("claude-test", PRICES, limit=1.0)
    assert money.reserve(0.6)
    assert not money.reserve(0.6)
    assert money.stopped
    money.release(0.6)
    money.spend({"input": 100_000})
    assert money.spent == pytest.approx(0.1)
    assert money.reserve(0.9 - 1e-9)


def test_kinds_of_tokens_have_prices_of_their_own_or_that_of_the_input() -> None:
    prices = {"m": {"input": 2.0, "output": 10.0, "cache_read": 0.2, "batch": 0.5}}
    usage = {"input": 1e6, "output": 1e6, "cache_read": 1e6, "cache_write": 1e6}
    money = Money("m", prices, None)
    assert money.cost(usage) == pytest.approx(2.0 + 10.0 + 0.2 + 2.0)
    assert money.cost(usage, batch=True) == pytest.approx(14.2 / 2)
    unknown = Money("other", prices, None)
    assert not unknown.known
    assert unknown.cost(usage) == 0


def test_a_price_without_its_output_is_refused() -> None:
    with pytest.raises(InputError, match="prices: 'm': found input, expected input and output"):
        Money("m", {"m": {"input": 1.0}}, None)


# Answers that cost money and are of no use

DEAR = {name: {"input": 0.0, "output": 1000.0} for name in ("claude-test", "a-local-model")}
"""Prices of 0.3 dollars for an answer of 300 tokens, and of 0.005 for one of 5."""


def uncounted(made: PromptWriter) -> float:
    model = made._language_model
    assert isinstance(model, ApiModel)
    return model._money.uncounted


def without(api: str, *names: str) -> str:
    """An answer that lacks some of its parts."""
    row = json.loads(completion(api, "Because of the lamp."))
    for name in names:
        row[name] = None
    return json.dumps(row)


CONTENT = {"anthropic": "content", "openai": "choices"}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.usefixtures("impatient")
def test_answers_that_cannot_be_read_count_for_max_cost(api: str, tmp_path: Path) -> None:
    said: Counter[str] = Counter()

    def say(path: str) -> tuple[str, str]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        said["all"] += 1
        if said["all"] % 3:
            said["pages"] += 1
            return "text/html", PAGE
        said["good"] += 1
        return "application/json", completion(api, "Because of the lamp.")

    with server(say) as other:
        made = other_servers.writer(api, other.url, concurrency=4, prices=DEAR, max_cost=1.0)
        outcomes = other_servers.ask(made, 12, tmp_path)
    assert outcomes["written"] == said["good"] > 0
    assert said["pages"] * 0.3 + said["good"] * 0.005 <= 1.0
    assert uncounted(made) == pytest.approx(said["pages"] * 0.3)
    assert f"at most ${uncounted(made):.2f} more where no tokens were counted" in made.status()
    assert "stopped at max_cost" in made.hint()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.usefixtures("impatient")
def test_an_answer_that_cannot_be_read_costs_its_tokens_where_they_are_known(
    api: str, tmp_path: Path
) -> None:
    bodies = [completion(api, "Because of the lamp."), without(api, CONTENT[api])]

    def say(path: str) -> tuple[str, str]:
        if "count" in path:
            return "application/json", '{"input_tokens": 100}'
        return "application/json", bodies.pop(0) if len(bodies) > 1 else bodies[0]

    with server(say) as other:
        made = other_servers.writer(api, other.url, concurrency=1, prices=DEAR)
        assert other_servers.ask(made, 2, tmp_path)["failed"] == 1
    assert spent(made) == pytest.approx(4 * 0.005), "one is good, and another one is tried thrice"
    assert uncounted(made) == 0


@pytest.mark.usefixtures("impatient")
def test_an_answer_without_a_count_of_its_tokens_counts_as_the_dearest(tmp_path: Path) -> None:
    body = without("openai", "usage")
    with server(lambda path: ("application/json", body)) as other:
        made = other_servers.writer("openai", other.url, prices=DEAR, max_cost=1.0, concurrency=2)
        assert other_servers.ask(made, 12, tmp_path)["written"] == 3
    assert uncounted(made) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("error", "may_cost"),
    [
        (TimeoutError(), True),
        (ValueError("found ''"), True),
        (type("ServerDisconnectedError", (Exception,), {})("gone"), True),
        (type("ConnectError", (Exception,), {})("nobody there"), False),
        (500, False),
        (429, False),
        (400, False),
    ],
    ids=str,
)
def test_a_try_may_cost_unless_the_server_says_that_it_has_no_answer(
    error: Any, may_cost: bool
) -> None:
    if isinstance(error, int):
        response = SimpleNamespace(request=None, status_code=error, headers={})
        error = openai.APIStatusError("no", response=response, body=None)
    problems = Problems(openai, "http://gpu.example", "m", "OPENAI_API_KEY", 5.0)
    assert problems.read(error).may_cost == may_cost


@pytest.mark.parametrize("ordered", [batches, file_batches])
def test_an_answer_of_a_batch_that_cannot_be_read_is_paid_for_and_keeps_none_of_the_others(
    ordered: Callable[..., PromptWriter], tmp_path: Path
) -> None:
    asked = questions(5)
    odd = Question("odd", "Is this odd?", ("yes",))
    with serve(tmp_path) as running:
        made = ordered(running.url)
        counts = ask(made, [odd, *asked], tmp_path)
    assert counts == {"written": 5, "failed": 1, "cached": 0}
    assert "unreadable answer: " in failures(tmp_path)["odd"]
    assert spent(made) == pytest.approx(6 * (100 * 1 + 40 * 5) / 1e6 / 2)


def test_what_is_set_aside_for_another_try_has_to_fit_after_a_loss() -> None:
    money = Money("claude-test", PRICES, limit=1.0)
    assert money.reserve(0.4)
    money.lose(0.4)
    assert money.still_fits()
    assert not money.stopped
    money.lose(0.4)
    assert not money.still_fits()
    assert money.stopped
