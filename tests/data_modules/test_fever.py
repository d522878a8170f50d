"""FEVER: a claim is searched for as it is, and asked about as a question with two labels."""

from __future__ import annotations

from pathlib import Path

from data_modules import FEVERDataModule
from radio.retrievers import BM25
from tests.conftest import write_jsonl


def test_a_claim_is_asked_about_and_searched_for_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "fever"
    folder.mkdir(parents=True)
    row = {"id": "f", "question": "Fog is dry.", "golden_answers": ["REFUTES"]}
    write_jsonl(folder / "test.jsonl", [row])
    cache_dir = str(tmp_path / "cache")
    data = FEVERDataModule(path=str(folder.parent), retriever=BM25(), cache_dir=cache_dir)
    (claim,) = data.questions("test")
    assert claim.query == "Fog is dry."
    assert "Fog is dry." in claim.question
    assert claim.choices == ("SUPPORTS", "REFUTES")
    assert claim.golden_answers == ("REFUTES",)
