"""``radio diagnose``, as a user types it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.commands import diagnose
from radio.diagnosing.diagnosis import TESTS, Settings
from tests.conftest import PATIENCE, read_jsonl
from tests.diagnosing.runs import READER, made_run
from tests.forked import Forked
from tests.llm_server import serve
from tests.llm_wire import KEY

Radio = Callable[..., tuple[int, str, str]]


def test_a_run_that_radio_has_made_is_diagnosed(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, _, err = radio("test", *tiny_run)
    assert status == 0, err
    typed = ["--ks", "6,1,3", "--distractors", "0,2", "--threshold", "0.99"]
    status, out, err = radio("diagnose", "runs/tiny", *typed)
    assert status == 0, err
    assert out.endswith("page: runs/tiny/diagnose.html\n")
    document = json.loads((tmp_path / "runs/tiny/diagnose.json").read_text())
    assert (document["split"], document["questions"], document["failed"]) == ("test", 2, {})
    # the reader copies spans; nobody has written rationales, since nothing was trained
    assert document["unavailable"].keys() == {"closed_book", "rationales"}
    # the encoder is the teacher's
    assert document["near"]["training"] == 12
    note = document["order"][0]
    assert (note["depth"], note["repeated"]) == (3, {"same": 6, "other": 0})
    assert [row["variant"] for row in document["depth"][0]["measures"]["em"]] == ["1", "3", "6"]
    assert len(read_jsonl(tmp_path / "runs/tiny/diagnose.jsonl")) == 2
    page = (tmp_path / "runs/tiny/diagnose.html").read_text()
    assert page.startswith("<!doctype html>")
    # nothing is asked again, and radio report shows the tables
    status, _, err = radio("diagnose", "runs/tiny", *typed, "--output", "out")
    assert status == 0, err
    again = json.loads((tmp_path / "out/diagnose.json").read_text())
    costs = again["distractors"][0]["costs"]
    assert costs["cached"] == costs["prompts"] > 0
    status, out, err = radio("report", "runs/tiny", "--output", "report.html")
    assert status == 0, err
    report = (tmp_path / "report.html").read_text()
    assert "Distractors, passages of other questions in between: em" in report
    # of other results it is left out, and that is said
    status, _, err = radio("test", *tiny_run, "--trainer.callbacks.1.init_args.top_k", "1")
    assert status == 0, err
    status, _, err = radio("report", "runs/tiny", "--output", "report.html")
    assert status == 0, err
    report = (tmp_path / "report.html").read_text()
    assert "its diagnosis is of earlier results; radio diagnose runs/tiny makes it again" in report
    assert "Distractors" not in report


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--tests", "ordr"], "--tests: found 'ordr', expected some of training, rationales"),
        (["--tests", ","], "--tests: found none, expected some of training"),
        (["--ks", "1,x"], "--ks: found '1,x', expected whole numbers with commas"),
        (["--ks", "0"], "radio diagnose: ks: found 0, expected"),
        (["--distractors", "1,2"], "--distractors: found '1,2', expected 0 among them"),
        (["--threshold", "2"], "radio diagnose: threshold: found 2.0, expected"),
        (["--questions", "0"], "radio diagnose: questions: found 0, expected"),
        (["--seed", "-1"], "radio diagnose: seed: found -1, expected"),
        (["--top_k", "0"], "radio diagnose: top_k: found 0, expected"),
        (["--split", "dev"], "found no results of dev"),
    ],
)
def test_a_mistake_is_one_message(
    typed: list[str], message: str, radio: Radio, tmp_path: Path
) -> None:
    made_run(tmp_path / "run", evaluated=False)
    status, out, err = radio("diagnose", "run", *typed)
    assert (status, out) == (2, "")
    assert message in err
    assert not list(tmp_path.glob("**/diagnose.*"))


def test_files_that_no_diagnosis_has_made_are_left_alone(radio: Radio, tmp_path: Path) -> None:
    made_run(tmp_path / "run", evaluated=False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/diagnose.json").write_text("mine")
    status, _, err = radio("diagnose", "run", "--output", "out")
    assert status == 2
    assert "diagnose.json" in err
    assert (tmp_path / "out/diagnose.json").read_text() == "mine"


def test_a_test_that_failed_is_the_exit_status(radio: Radio, tmp_path: Path) -> None:
    asking: dict[str, Any] = {
        "class_path": "OpenAIGenerator",
        # nobody listens there
        "init_args": {"model": "gpt-test", "base_url": "http://127.0.0.1:9/v1", "retries": 0},
    }
    loop = {**READER, "init_args": {"top_k": 2, "generator": asking}}
    made_run(tmp_path / "run", callbacks=[loop], evaluated=False)
    status, out, err = radio("diagnose", "run", "--tests", "training,order", "--questions", "2")
    assert status == 1, err
    assert "WARNING: order failed:" in out
    assert "training questions, 8 tokens" in out
    assert json.loads((tmp_path / "run/diagnose.json").read_text())["failed"].keys() == {"order"}


def test_the_options_are_those_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        diagnose.main(["--help"])
    told = capsys.readouterr().out.replace("\n", " ")
    assert all(name in told for name in TESTS)
    settings = Settings()
    assert ",".join(map(str, settings.ks)) == diagnose.KS
    assert ",".join(map(str, settings.distractors)) == diagnose.DISTRACTORS


@pytest.mark.slow
def test_a_diagnosis_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai", reason="the extra `openai` is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(tmp_path / "server", "--latency", "0.1", "--find", r"Keeper \w+") as server:
        settings = {"model": "gpt-test", "base_url": f"{server.url}/v1", "concurrency": 1}
        asking = {"class_path": "OpenAIGenerator", "init_args": settings}
        loop = {**READER, "init_args": {"top_k": 2, "generator": asking}}
        made_run(tmp_path / "run", callbacks=[loop], evaluated=False)
        command = [sys.executable, "-m", "radio", "diagnose", "run", "--tests", "closed_book,order"]
        cache = Cache(tmp_path / "cache" / "radio.sqlite")
        with (tmp_path / "log.txt").open("w") as log:
            streams = {"stdout": log.fileno(), "stderr": log.fileno()}
            first = Forked(command, cwd=tmp_path, **streams)
            while first.poll() is None and len(cache.items_json("answer")) < 15:
                time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
            first.wait(PATIENCE)
            before = len(cache.items_json("answer"))
            assert before >= 15, (tmp_path / "log.txt").read_text()
            assert not (tmp_path / "run" / "diagnose.json").exists()
            second = Forked(command, cwd=tmp_path, **streams).wait(PATIENCE)
        assert second == 0, (tmp_path / "log.txt").read_text()
        paid = server.stats()["paid"]
    document = json.loads((tmp_path / "run" / "diagnose.json").read_text())
    prompts = sum(document[name][0]["costs"]["prompts"] for name in ("closed_book", "order"))
    assert len(paid) == prompts > before
    # the call that was under way may be paid for again
    assert sum(paid.values()) - len(paid) <= 1
    cached = sum(document[name][0]["costs"]["cached"] for name in ("closed_book", "order"))
    assert cached >= before
