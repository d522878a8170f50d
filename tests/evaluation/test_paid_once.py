"""An evaluation that asks a model behind HTTP: every prompt ends as an answer or a named failure,
and none is paid for twice, whatever the server does and whoever is killed."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from radio.evaluation import asked
from tests.conftest import PATIENCE
from tests.evaluation.evaluating import (
    APIS,
    CONCURRENCY,
    KILLS,
    evaluate,
    examples,
    generator,
    rows,
    started,
)
from tests.forked import Forked
from tests.llm_server import serve
from tests.llm_wire import KEY

pytest.importorskip("openai", reason="the extra `openai` is not installed")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC", "OPENAI"):
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
        monkeypatch.delenv(f"{name}_BASE_URL", raising=False)
    # a second try comes at once
    monkeypatch.setattr("radio.llm.tries.FIRST_WAIT", 0.01)


@pytest.mark.parametrize("api", APIS)
def test_300_prompts_of_which_a_third_meets_a_fault_end_as_answers_or_named_failures(
    api: str, tmp_path: Path
) -> None:
    kinds = ["429", "500", "drop", "truncate", "html", "refusal", "empty", "cut"]
    questions = examples(50, refused=(7, 31))
    faults = ["--faults", "0.3", "--kinds", *kinds, "--find", "lamp 0", "--retry-after", "0.01"]
    with serve(tmp_path, *faults) as server:
        mine = generator(api, server.url, retries=12, timeout=15.0)
        found = evaluate(mine, questions, tmp_path)
        stats = server.stats()
        assert set(stats["faults"]) == set(kinds), "every fault happened"
        assert found.distinct == 300
        # what the server refuses is named, and left out of both rankings
        assert {"q7", "q31"} <= set(found.failed)
        assert "prompt is too long" in found.failed["q7"]
        assert len(found.failed) <= 4
        assert len(found.read) == 6 * (50 - len(found.failed))
        # all that was answered in full is there, and was paid for once
        stored = rows(tmp_path)
        assert len(stored) == len(stats["paid"])
        assert set(stats["paid"].values()) == {1}
        outcomes = {answer.outcome for answer in found.answers}
        assert outcomes == {"written", "refused", "empty", "truncated"}
        counts = asked.tally(found)
        assert counts["total"]["prompt_tokens"] == 100 * len(found.answers)
        # the next run asks for what failed, and for nothing else
        before = sum(stats["calls"].values())
        again = evaluate(generator(api, server.url, retries=12), questions, tmp_path)
        after = server.stats()
        assert set(after["paid"].values()) == {1}
        assert sum(after["calls"].values()) - before < 60
    assert {"q7", "q31"} <= set(again.failed)
    assert all(answer.cached for answer in again.answers) or len(found.failed) > 2


def test_two_processes_that_share_a_cache_never_both_pay(tmp_path: Path) -> None:
    with serve(tmp_path, "--latency", "0.02") as server:
        both = [started("evaluates", server.url, tmp_path, 20) for _ in range(2)]
        assert [process.wait(PATIENCE) for process in both] == [0, 0]
        paid = server.stats()["paid"]
    assert len(paid) == len(rows(tmp_path)) == 120
    assert set(paid.values()) == {1}


@pytest.mark.slow
def test_kill_9_at_20_moments_of_an_evaluation_loses_no_answer(tmp_path: Path) -> None:
    faults = ["--faults", "0.3", "--in-a-row", "2", "--kinds", "429", "500", "drop"]
    with serve(tmp_path, *faults, "--retry-after", "0.01", "--latency", "0.02") as server:
        assert started("killed", server.url, tmp_path, 250).wait(PATIENCE) == 0
        paid = server.stats()["paid"]
    assert len(paid) == len(rows(tmp_path)) == 1500
    # no answer that was there is lost, and the kills fell into the work
    progress = [json.loads(line) for line in (tmp_path / "kills.jsonl").read_text().splitlines()]
    assert len(progress) == KILLS
    assert progress == sorted(progress)
    assert 0 < progress[KILLS // 2] < 1500
    # those that were under way when it was killed are the only ones that can be paid for again
    again = sum(paid.values()) - len(paid)
    assert again <= KILLS * CONCURRENCY


@pytest.mark.slow
def test_radio_validate_killed_while_it_asks_goes_on_where_it_was(
    tiny_run: list[str], tmp_path: Path
) -> None:
    with serve(tmp_path / "server", "--latency", "0.3", "--find", "captain4") as server:
        settings = {"model": "gpt-test", "base_url": f"{server.url}/v1", "concurrency": 1}
        asking = {"class_path": "OpenAIGenerator", "init_args": settings}
        loop = {"generator": asking, "top_k": [1, 2, 3, 4, 5], "closed_book": True}
        callback = {"class_path": "GeneratorInTheLoop", "init_args": loop}
        command = [sys.executable, "-m", "radio", "validate", *tiny_run]
        command += ["--trainer.callbacks", json.dumps([callback])]
        cache = tmp_path / ".radio_cache"
        with (tmp_path / "log.txt").open("w") as log:
            streams = {"stdout": log.fileno(), "stderr": log.fileno()}
            first = Forked(command, cwd=tmp_path, **streams)
            while first.poll() is None and not ((cache / "radio.sqlite").is_file() and rows(cache)):
                time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
            first.wait(PATIENCE)
            before = len(rows(cache))
            log.flush()
            assert 0 < before < 12, (tmp_path / "log.txt").read_text()
            second = Forked(command, cwd=tmp_path, **streams).wait(PATIENCE)
        assert second == 0, (tmp_path / "log.txt").read_text()
        paid = server.stats()["paid"]
    assert len(rows(cache)) == len(paid) > before
    # the call that was under way may be paid for again
    assert sum(paid.values()) - len(paid) <= 1
    document = json.loads((tmp_path / "runs/tiny/metrics.json").read_text())
    (notes,) = document["generators"]["validation"]
    assert notes["total"]["prompts"] == len(paid)
    assert notes["total"]["cached"] == before
    assert document["validation"]["closed_book"]["em"] == 0
