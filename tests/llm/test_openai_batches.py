"""OpenAI's batches: files there and back, paid for once whatever happens, and found again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.llm.openai_batches import FileBatches
from radio.schema import InputError, Question
from tests.llm.asking import (
    ask,
    failures,
    file_batches,
    killed,
    questions,
    rows,
    spent,
    writer,
)
from tests.llm_server import serve

pytest.importorskip("openai", reason="the extra `openai` is not installed")


def odd(*texts: str) -> list[Question]:
    return [Question(f"o{n}", text, ("yes",)) for n, text in enumerate(texts)]


@pytest.mark.slow
def test_kill_9_pays_for_no_batch_twice(tmp_path: Path) -> None:
    faults = ("--faults", "0.2", "--in-a-row", "2", "--kinds", "500", "drop", "truncate")
    with serve(tmp_path, "--batch-seconds", "1.0", *faults) as server:
        killed("file batches", server.url, tmp_path, 1000, 0.5)
        stats = server.stats()
    assert set(stats["answered"].values()) == {1}
    assert {row["question"] for row in rows(tmp_path)} == set(stats["answered"])
    assert len(stats["answered"]) == 1000
    assert stats["batches"] == 4
    assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []


def test_batches_are_split_and_cost_half(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = file_batches(server.url, batch_size=30)
        assert ask(made, questions(100), tmp_path) == {"written": 100, "cached": 0}
        stats = server.stats()
        assert stats["batches"] == stats["calls"]["/v1/files"] == 4
        assert spent(made) == pytest.approx(100 * (100 * 1 + 40 * 5) / 1e6 / 2)
        assert all(repr(row["question"]) in row["rationale"] for row in rows(tmp_path)), (
            "each answer belongs to its question, though the file is in another order"
        )
        plain = writer("openai", server.url)
        assert ask(plain, questions(100), tmp_path) == {"cached": 100}, (
            "the way of ordering is not part of the key"
        )


def test_no_file_is_larger_than_the_api_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    upload = FileBatches.upload

    def measured(self: FileBatches, orders: dict[str, dict[str, object]]) -> str:
        file = upload(self, orders)
        sizes.append(self._client.files.content(file).content)
        return file

    monkeypatch.setattr(FileBatches, "upload", measured)
    monkeypatch.setattr(FileBatches, "most_bytes", 20_000)
    with serve(tmp_path) as server:
        # characters that JSON writes as six
        text = f"Wo brennt die Lampe? {'ü' * 300}"
        asked = [Question(f"q{n}", f"{text} {n}", ("da",)) for n in range(20)]
        assert ask(file_batches(server.url), asked, tmp_path)["written"] == 20
    assert len(sizes) > 2
    assert max(map(len, sizes)) <= 20_000


def test_an_interrupted_run_waits_for_its_batch_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with serve(tmp_path, "--batch-seconds", "0.5") as server:
        with monkeypatch.context() as patch:
            patch.setattr("radio.llm.ordering.time.sleep", interrupt)
            with pytest.raises(KeyboardInterrupt):
                ask(file_batches(server.url), questions(10), tmp_path)
        assert rows(tmp_path) == []
        assert ask(file_batches(server.url), questions(10), tmp_path)["written"] == 10
        assert server.stats()["batches"] == 1


def test_a_batch_whose_acceptance_was_never_seen_is_found_again(tmp_path: Path) -> None:
    with serve(tmp_path, "--batch-drop", "1.0") as server:
        # one of the same size, of somebody else
        with pytest.raises(InputError, match="the next run looks whether it was accepted"):
            ask(file_batches(server.url), questions(50), tmp_path / "another")
        with pytest.raises(InputError, match="the next run looks whether it was accepted"):
            ask(file_batches(server.url), questions(50), tmp_path)
        assert ask(file_batches(server.url), questions(50), tmp_path)["written"] == 50
        assert server.stats()["batches"] == 2


def test_a_file_without_a_batch_is_submitted_anew(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        key = file_batches(server.url).key(questions(1)[0])
        note = {"id": None, "keys": [key], "time": "2026-01-01T00:00:00+00:00", "file": "file-1"}
        Cache(tmp_path / "radio.sqlite").put_json("batch", {"b": note})
        assert ask(file_batches(server.url), questions(1), tmp_path)["written"] == 1
    assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []


@pytest.mark.usefixtures("impatient")
def test_broken_downloads_are_read_again(tmp_path: Path) -> None:
    faults = ("--faults", "0.6", "--kinds", "500", "drop", "truncate", "html")
    with serve(tmp_path, *faults) as server:
        made = file_batches(server.url, batch_size=20, retries=20)
        assert ask(made, questions(60), tmp_path)["written"] == 60
        stats = server.stats()
    assert stats["batches"] == 3
    assert set(stats["answered"].values()) == {1}
    assert stats["calls"]["/v1/files/content"] > 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Is it too long?", "400: prompt is too long"),
        ("Will this expire?", "batch_expired: could not be executed in time"),
        ("Who will cancel it?", "no answer"),
        ("Is this odd?", "unreadable answer: "),
    ],
)
def test_what_a_batch_did_not_answer_is_a_failure_that_the_next_run_asks_again(
    tmp_path: Path, text: str, said: str
) -> None:
    asked = [*questions(10), *odd(text)]
    with serve(tmp_path) as server:
        counts = ask(file_batches(server.url), asked, tmp_path)
        assert counts == {"written": 10, "failed": 1, "cached": 0}
        assert f": {said}" in failures(tmp_path)["o0"]
        assert "batch_0" in failures(tmp_path)["o0"]
        ask(file_batches(server.url), asked, tmp_path)
        stats = server.stats()
    assert stats["batches"] == 2
    assert Counter(stats["answered"][q.question] for q in questions(10)) == {1: 10}


def test_a_batch_that_the_server_refuses_is_one_message_after_the_others_are_read(
    tmp_path: Path,
) -> None:
    asked = [*questions(10), *odd("Is this no line?", "Nor this: no line?")]
    with serve(tmp_path) as server:
        with pytest.raises(InputError, match=r"refused: line 1: no JSON \(and 1 more\); nothing"):
            ask(file_batches(server.url, batch_size=10), asked, tmp_path)
        assert len(rows(tmp_path)) == 10
        assert Cache(tmp_path / "radio.sqlite").items_json("batch") == []
        # mended, it is submitted again
        assert ask(file_batches(server.url), questions(10), tmp_path) == {"cached": 10}


def test_a_batch_that_is_gone_is_a_failure_and_asked_for_anew(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        made = file_batches(server.url)
        note = {
            "id": "batch_gone",
            "keys": [made.key(questions(1)[0])],
            "time": "2026-01-01T00:00:00+00:00",
            "file": "file-1",
        }
        Cache(tmp_path / "radio.sqlite").put_json("batch", {"b": note})
        assert ask(made, questions(1), tmp_path)["failed"] == 1
        assert "batch_gone is no longer at the server" in failures(tmp_path)["q0"]
        assert ask(file_batches(server.url), questions(1), tmp_path)["written"] == 1
