"""Batches: split, paid for once whatever happens, and found again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.schema import InputError, Question
from tests.llm.asking import ask, batches, failures, killed, questions, rows, spent, writer
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")


@pytest.mark.slow
def test_kill_9_pays_for_no_batch_twice(tmp_path: Path) -> None:
    faults = ("--faults", "0.2", "--in-a-row", "2", "--kinds", "500", "drop", "truncate")
    with serve(tmp_path, "--batch-seconds", "1.0", *faults) as server:
        killed("batches", server.url, tmp_path, 1000, 0.5)
        stats = server.stats()
    assert set(stats["answered"].values()) == {1}
    assert {row["question"] for row in rows(tmp_path)} == set(stats["answered"])
    assert len(stats["answered"]) == 1000
    assert stats["batches"] == 4
    assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []


def test_batches_are_split_and_cost_half(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = batches(server.url, batch_size=30)
        assert ask(made, questions(100), tmp_path) == {"written": 100, "cached": 0}
        assert server.stats()["batches"] == 4
        assert spent(made) == pytest.approx(100 * (100 * 1 + 40 * 5) / 1e6 / 2)
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
        assert spent(made) <= 0.03
