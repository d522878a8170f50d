"""MMLU: choices are searched and ranked with the question, and subjects can be chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_modules import MMLUDataModule
from radio.retrievers import BM25
from tests.conftest import write_jsonl


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "data" / "mmlu"
    folder.mkdir(parents=True)
    question = {
        "question": "Which gas?",
        "golden_answers": [1],
        "choices": ["oxygen", "carbon dioxide"],
    }
    rows = [
        {"id": "m", **question, "metadata": {"subject": "biology"}},
        {"id": "n", **question, "metadata": {"subject": "physics"}},
    ]
    write_jsonl(folder / "test.jsonl", rows)
    cache_dir = str(tmp_path / "cache")
    return {"path": str(folder.parent), "retriever": BM25(), "cache_dir": cache_dir}


def test_the_choices_are_searched_too_and_the_answer_is_their_text(
    settings: dict[str, Any],
) -> None:
    first, second = MMLUDataModule(**settings).questions("test")
    assert (first.question, first.query) == ("Which gas?", "Which gas? oxygen carbon dioxide")
    assert first.golden_answers == ("carbon dioxide",)
    assert second.metadata["subject"] == "physics"


def test_subjects_and_the_question_alone_are_a_choice(settings: dict[str, Any]) -> None:
    data = MMLUDataModule(subjects=["physics"], choices_in_query=False, **settings)
    assert [(q.id, q.query) for q in data.questions("test")] == [("n", "Which gas?")]
