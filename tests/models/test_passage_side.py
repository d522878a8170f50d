"""Whose passage embeddings serve for an exported question side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from radio.models.passage_side import note_passage_model, passage_model
from tests.conftest import write_jsonl


@pytest.fixture
def exported(tiny_bert: str, tmp_path: Path) -> tuple[Path, Path]:
    """A model, and a folder whose question side was trained against it."""
    original = shutil.copytree(tiny_bert, tmp_path / "original")
    folder = shutil.copytree(tiny_bert, tmp_path / "export")
    (folder / "document_0").mkdir()
    write_jsonl(folder / "document_0/config.json", [{"kind": "pooling"}])
    note_passage_model(folder, str(original), 48)
    return original, folder


def test_an_export_has_the_passages_of_its_original(exported: tuple[Path, Path]) -> None:
    original, folder = exported
    assert passage_model(str(folder), 48) == str(original)
    # cut where the original was not
    assert passage_model(str(folder), 49) == str(folder)
    assert passage_model(str(original), 48) == str(original)


@pytest.mark.parametrize("changed", ["original/config.json", "export/document_0/config.json"])
def test_what_was_changed_since_shares_nothing(
    changed: str, exported: tuple[Path, Path], tmp_path: Path
) -> None:
    _, folder = exported
    path = tmp_path / changed
    path.write_text(json.dumps({**json.loads(path.read_text()), "changed": True}))
    assert passage_model(str(folder), 48) == str(folder)


def test_an_original_that_is_gone_shares_nothing(exported: tuple[Path, Path]) -> None:
    original, folder = exported
    shutil.rmtree(original)
    assert passage_model(str(folder), 48) == str(folder)
