"""The files of an evaluation are read as they were written, or refused before anything is added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.evaluation.files import check_results, described, read_metrics, read_predictions
from radio.schema import InputError, Question


def test_results_are_read_as_utf8_and_split_at_newlines_alone(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(json.dumps({"a": "\u2028ä"}, ensure_ascii=False), encoding="utf-8")
    assert read_metrics(tmp_path / "m") == {"a": "\u2028ä"}
    assert read_metrics(tmp_path / "none") == {}
    rows = [{"split": "test", "q": "one\u2028line"}, {"split": "test"}]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "p").write_text(text, encoding="utf-8")
    assert list(read_predictions(tmp_path / "p")) == rows


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("metrics.json", "[]", "metrics.json"),
        ("metrics.json", '{"test": ', "metrics.json"),
        ("predictions.jsonl", '{"split": "test"}\n{"no": 1}\n', "predictions.jsonl:2"),
        ("predictions.jsonl", "nothing", "predictions.jsonl"),
    ],
)
def test_what_radio_did_not_write_is_named(
    name: str, content: str, place: str, tmp_path: Path
) -> None:
    check_results(tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=rf"{place}: not what radio wrote .*move it away first"):
        check_results(tmp_path)


def test_results_are_not_added_to_those_of_a_later_version(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"version": 1}', encoding="utf-8")
    check_results(tmp_path)
    (tmp_path / "metrics.json").write_text('{"version": "7b"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"found results of version '7b', expected 1 at most"):
        check_results(tmp_path)


def test_a_question_is_told_with_what_it_has_and_no_more() -> None:
    assert described(Question("q", "Who?", ("Ada",))) == {
        "question": "Who?",
        "golden_answers": ["Ada"],
    }
    gold = {"gold_ids": ["p1"]}
    claim = Question("q", "Is it true? Ada did.", ("yes",), ("yes", "no"), gold, search="Ada did.")
    assert described(claim) == {
        "question": "Is it true? Ada did.",
        "golden_answers": ["yes"],
        "search": "Ada did.",
        "choices": ["yes", "no"],
        "gold_ids": {"p1": 1.0},
    }
