"""Each answer is stored as it comes, and paid for once, whoever is killed and however many ask."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.generators import Prompt, SpanReader, ask
from radio.llm import fill as fill_module
from radio.llm.base import Failure
from radio.llm.fill import Answer, Source, fill
from radio.rationales import RationaleWriter, Request
from radio.rationales import fill as fill_rationales
from radio.schema import InputError, Passage, Question, Rationale
from tests.conftest import PATIENCE
from tests.forked import Forked
from tests.llm import asking
from tests.llm.asking import APIS, KILLS, killed, rows
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")


class Words(Source):
    """Gives ``word KEY`` for each key; one with ``x`` in it fails, one with ``!`` ends the run."""

    kind = "word"
    title = "words"
    unit = "word"

    def __init__(self, stale: Sequence[str] = (), cost: str = "") -> None:
        self._stale = stale
        self._cost = cost
        self._given: list[str] = []

    def is_current(self, row: Any) -> bool:
        return row["word"] not in self._stale

    def estimate(self, keys: Sequence[str]) -> str:
        return self._cost

    def obtain(self, keys: Sequence[str]) -> Iterator[Answer | Failure]:
        for key in keys:
            if "!" in key:
                raise InputError("no further")
            self._given.append(key)
            if "x" in key:
                yield Failure(f"question {key}", "it has an x")
            else:
                yield Answer(key, {"word": f"word {key}"}, "empty" if "e" in key else "written")


def words(cache: Cache) -> dict[str, str]:
    return {key: row["word"] for key, row in cache.items_json("word")}


def test_only_what_is_missing_is_asked_for_and_what_failed_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, failed = Cache(tmp_path / "radio.sqlite"), tmp_path / "failures.jsonl"
    assert fill(Words(), ["a", "b"], cache, failed) == {"written": 2, "cached": 0}
    assert "written" not in capsys.readouterr().err, "nothing to tell but the progress bar"
    source = Words(cost="two dollars")
    counts = fill(source, ["a", "b", "c", "x", "e"], cache, failed)
    assert counts == {"cached": 2, "written": 1, "failed": 1, "empty": 1}
    assert source._given == ["c", "x", "e"]
    assert words(cache) == {key: f"word {key}" for key in "abce"}
    assert json.loads(failed.read_text()) == {"id": "question x", "error": "it has an x"}
    said = capsys.readouterr().err
    assert "words: 3 of 5 missing; two dollars" in said
    assert f"words: 2 cached, 1 written, 1 failed, 1 empty; failures: {failed}" in said
    assert "words: 1 empty: such answers are kept and not asked for again" in said


def test_an_answer_that_is_out_of_date_is_asked_for_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "radio.sqlite")
    fill(Words(), ["a", "b"], cache)
    source = Words(stale=["word a"])
    assert fill(source, ["a", "b"], cache) == {"cached": 1, "written": 1}
    assert source._given == ["a"]


def test_what_came_before_the_end_is_stored_and_what_failed_until_then_is_listed(
    tmp_path: Path,
) -> None:
    cache, failed = Cache(tmp_path / "radio.sqlite"), tmp_path / "failures.jsonl"
    with pytest.raises(InputError, match="no further"):
        fill(Words(), ["a", "x", "!", "b"], cache, failed)
    assert words(cache) == {"a": "word a"}
    assert "question x" in failed.read_text()
    fill(Words(), ["a", "b"], cache, failed)
    assert not failed.exists(), "nothing fails any more"


def test_rationales_and_answers_of_a_generator_are_filled_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Writer(RationaleWriter):
        def write(self, requests: Sequence[Request], cache: Cache) -> Iterator[Rationale]:
            for request in requests:
                yield Rationale(request.question.id, "Ada lit it.")

    stored: list[str] = []

    def noted(source: Source, keys: Sequence[str], cache: Cache) -> Iterator[Answer | Failure]:
        stored.append(f"{len(keys)} {source.kind}")
        return as_they_come(source, keys, cache)

    as_they_come = fill_module._stored
    monkeypatch.setattr(fill_module, "_stored", noted)
    cache, question = Cache(tmp_path / "radio.sqlite"), Question("q", "Who lit the lamp?", ("Ada",))
    requests = [Request(Writer().key(question), question)]
    fill_rationales(Writer(), requests, cache, tmp_path / "failures.jsonl", "rationales")
    ask(SpanReader(), [Prompt(question, (Passage("p", "Ada lit the lamp."),))], cache)
    assert stored == ["1 rationale", "1 answer"]


def test_two_processes_that_start_together_pay_once(tmp_path: Path) -> None:
    with serve(tmp_path, "--latency", "0.05") as server:
        both = [Forked(asking.command("openai", server.url, tmp_path, 100)) for _ in range(2)]
        assert [process.wait(PATIENCE) for process in both] == [0, 0]
        assert set(server.stats()["answered"].values()) == {1}
    assert len(rows(tmp_path)) == 100


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
def test_kill_9_at_fifty_moments_loses_no_answer(api: str, tmp_path: Path) -> None:
    faults = ("--faults", "0.3", "--in-a-row", "2", "--kinds", "429", "500", "drop")
    with serve(tmp_path, *faults, "--latency", "0.05") as server:
        killed(api, server.url, tmp_path, 1000, 0.05)
        answered = server.stats()["answered"]
    assert {row["question"] for row in rows(tmp_path)} == set(answered)
    assert len(answered) == 1000
    again = Counter(answered)
    again.subtract(dict.fromkeys(answered, 1))
    # 16 calls were under way at each kill
    assert again.total() <= KILLS * 16
    assert sqlite3.connect(tmp_path / "radio.sqlite").execute(
        "PRAGMA integrity_check"
    ).fetchone() == ("ok",)
