"""Which calls go into which batch, and what becomes of a batch that several runs ask about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.rationales.writers import PromptWriter
from radio.schema import InputError
from tests.llm.asking import ask, batches, file_batches, questions, rows, spent
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")

Order = Callable[..., PromptWriter]
WAYS = pytest.mark.parametrize("ordered", [batches, file_batches])


@WAYS
def test_no_batch_is_submitted_that_could_exceed_max_cost(tmp_path: Path, ordered: Order) -> None:
    with serve(tmp_path) as server:
        made = ordered(server.url, batch_size=20, max_cost=0.03)
        outcomes = ask(made, questions(100), tmp_path)
        assert 0 < outcomes["written"] < 100
        assert spent(made) <= 0.03


@WAYS
def test_money_set_aside_for_a_batch_is_free_again_when_it_is_read(
    tmp_path: Path, ordered: Order
) -> None:
    with serve(tmp_path) as server:
        # enough for 20 prompts at their most, one after the other
        made = ordered(server.url, max_cost=0.02)
        for start in range(0, 40, 10):
            asked = questions(40)[start : start + 10]
            assert ask(made, asked, tmp_path)["written"] == 10


@WAYS
def test_answers_that_only_another_run_asks_for_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ordered: Order
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with serve(tmp_path, "--batch-seconds", "0.5") as server:
        with monkeypatch.context() as patch:
            patch.setattr("radio.llm.ordering.time.sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                ask(ordered(server.url), questions(10), tmp_path)
        # a run about other questions reads its part of the batch, and leaves the rest
        assert ask(ordered(server.url), questions(4), tmp_path)["written"] == 4
        ((_, note),) = Cache(tmp_path / "radio.sqlite").items_json("batch")
        assert len(note["keys"]) == 6
        assert ask(ordered(server.url), questions(10), tmp_path) == {"cached": 4, "written": 6}
        assert server.stats()["batches"] == 1
    assert len(rows(tmp_path)) == 10
    assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []


@WAYS
def test_a_batch_has_no_more_requests_than_the_api_takes(ordered: Order) -> None:
    with pytest.raises(InputError, match="batch_size: found 100001"):
        ordered("http://127.0.0.1:9", batch_size=100_001)
