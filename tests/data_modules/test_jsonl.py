"""Files of one's own: questions and passages without code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_modules import JsonlDataModule
from radio.corpus import DiskCorpus
from radio.retrievers import BM25, Precomputed
from radio.schema import InputError
from tests.conftest import write_jsonl


def files(folder: Path, **changes: Any) -> JsonlDataModule:
    return JsonlDataModule(**{"retriever": BM25(), "cache_dir": str(folder / "cache"), **changes})


def test_questions_to_predict_need_no_answers_and_those_to_learn_from_do(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "new.jsonl", [{"id": "q", "question": "Who lit the lamp?"}])
    (question,) = files(tmp_path, predict=str(path)).questions("predict")
    assert (question.id, question.golden_answers) == ("q", ())
    with pytest.raises(InputError, match=r"new\.jsonl:1: key 'golden_answers' is missing"):
        files(tmp_path, train=str(path)).questions("train")
    assert list(files(tmp_path, train=str(path)).questions("test")) == []


def test_a_list_of_files_for_a_split_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.init_args\.train: found the list .*cat a\.jsonl"):
        files(tmp_path, train="['a.jsonl', 'b.jsonl']")


def test_passages_come_from_the_corpus_or_from_candidates_that_carry_them(tmp_path: Path) -> None:
    corpus = write_jsonl(
        tmp_path / "corpus.jsonl", [{"id": "p", "contents": "Lamp\nLit by night."}]
    )
    data = files(tmp_path, corpus=str(corpus))
    assert isinstance(data.passages(), DiskCorpus)
    assert data.corpus["p"].title == "Lamp"

    candidate = {"id": "p", "score": 1.0, "contents": "Lamp\nLit by day."}
    path = write_jsonl(tmp_path / "candidates.jsonl", [{"id": "q", "candidates": [candidate]}])
    data = files(tmp_path, retriever=Precomputed(str(path)))
    assert data.corpus["p"].text == "Lit by day."

    with pytest.raises(InputError, match=r"data\.init_args\.corpus is not set"):
        files(tmp_path).passages()
