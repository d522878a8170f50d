"""Texts of passages and rationales, as far as files and cache have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.comparing.reading import RunResults
from radio.reporting.texts import corpus_files, find_texts
from radio.schema import InputError
from tests.conftest import write_jsonl
from tests.reporting.runs import corpus

JSONL = "data_modules.JsonlDataModule"


def run_with(**settings: Any) -> RunResults:
    config = {"data": {"class_path": JSONL, "init_args": settings}}
    return RunResults(Path("run"), "run", {}, config, {})


def test_passages_are_those_of_the_config(tmp_path: Path) -> None:
    run = run_with(corpus=[str(corpus(tmp_path / "c.jsonl"))])
    texts = find_texts(run, ["p0-2", "p7-5", "unknown"], {})
    assert set(texts.passages) == {"p0-2", "p7-5"}
    assert texts.passages["p0-2"].title == "Lamp 0/2"
    assert texts.remarks == [
        "The text of 1 of 3 passages is not in c.jsonl; their ids are shown alone."
    ]


def test_files_that_are_named_win(tmp_path: Path) -> None:
    run = run_with(corpus=str(corpus(tmp_path / "c.jsonl")))
    other = corpus(tmp_path / "other.jsonl", text="Another {n}{p}.")
    assert "Another" in find_texts(run, ["p1-1"], {}, [other]).passages["p1-1"].text
    with pytest.raises(InputError, match="no such file"):
        find_texts(run, ["p1-1"], {}, [tmp_path / "none.jsonl"])


def test_a_corpus_that_is_gone_is_said(tmp_path: Path) -> None:
    for run in (
        run_with(corpus=str(tmp_path / "gone.jsonl")),
        RunResults(Path("run"), "run", {}, {}, {}),
    ):
        texts = find_texts(run, ["p1"], {})
        assert not texts.passages
        assert "their ids alone" in texts.remarks[0]


def test_a_corpus_of_beir_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    write_jsonl(path, [{"_id": "d1", "title": "Lamps", "text": "They burn."}])
    (passage,) = find_texts(run_with(path=str(tmp_path)), ["d1"], {}).passages.values()
    assert (passage.title, passage.text) == ("Lamps", "They burn.")


def test_where_a_config_says_that_the_passages_are(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "b.jsonl").touch()
    (tmp_path / "corpus" / "a.jsonl.gz").touch()
    found = corpus_files("data_modules.MMLUDataModule", {"path": str(tmp_path), "corpus": None})
    assert [file.name for file in found] == ["a.jsonl.gz", "b.jsonl"]
    (bundled,) = corpus_files("data_modules.QuickstartDataModule", {})
    assert bundled.is_file()
    assert corpus_files("my.Own", {"dataset": "nq"}) == []


def test_rationales_are_those_of_the_cache(tmp_path: Path) -> None:
    entries = {
        "1": {"id": "q1", "question": "Who?", "rationale": "Because of one."},
        "2": {"id": "q2", "question": "Another question of that id", "rationale": "No."},
        "3": {"id": "q3", "question": "When?", "rationale": "First."},
        "4": {"id": "q3", "question": "When?", "rationale": "Second."},
    }
    Cache(tmp_path / "radio.sqlite").put_json("rationale", entries)
    asked = {"q1": "Who?", "q2": "Why?", "q3": "When?"}
    texts = find_texts(run_with(cache_dir=str(tmp_path)), [], asked)
    assert texts.rationales == {"q1": "Because of one."}
    assert "several rationales for 1 questions" in texts.remarks[-1]


def test_a_cache_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    run = run_with(cache_dir=str(tmp_path / "none"), corpus=str(corpus(tmp_path / "c.jsonl")))
    texts = find_texts(run, [], {"q1": "Who?"})
    assert texts.remarks == [
        "The rationale of 1 questions is neither in the run folder nor in its cache."
    ]
    assert not (tmp_path / "none").exists()
