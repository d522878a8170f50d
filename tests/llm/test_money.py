"""What is spent stays below the limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.llm.money import Money
from radio.schema import InputError
from tests.llm.asking import PRICES, ask, questions, rows, spent, writer
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")


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
