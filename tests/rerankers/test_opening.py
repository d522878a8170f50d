"""A reranker from the folder that a run has exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.rerankers import BiEncoder, CrossEncoder, YesNoLM
from radio.rerankers.exports import ranking_settings
from radio.rerankers.opening import opened
from radio.schema import InputError


def note(folder: Path, kind: str, **settings: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"class": kind, "radio": "1", "init_args": settings})
    (folder / "radio.json").write_text(text)
    return str(folder)


def test_an_exported_folder_brings_class_and_settings(tmp_path: Path) -> None:
    found = opened(note(tmp_path / "e", "BiEncoder", max_length=40, scale=7.0))
    assert isinstance(found, BiEncoder)
    assert (found.max_length, found.scale) == (40, 7.0)
    assert found.network is None


def test_a_prompt_shape_comes_back_from_its_note(tmp_path: Path) -> None:
    asked = YesNoLM("m", prompt="gemma", max_length=99)
    found = opened(note(tmp_path / "e", "YesNoLM", **ranking_settings(asked)))
    assert isinstance(found, YesNoLM)
    assert (found.prompt, found.instruction) == (asked.prompt, asked.instruction)


def test_a_run_folder_stands_for_its_export(tmp_path: Path) -> None:
    run = tmp_path / "run"
    note(run / "export", "CrossEncoder", max_length=48)
    found = opened(str(run))
    assert (found.model, found.max_length) == (str(run / "export"), 48)


def test_a_run_folder_without_an_export_is_named(tmp_path: Path) -> None:
    (tmp_path / ".radio").touch()
    with pytest.raises(InputError, match="found a run folder without export/"):
        opened(str(tmp_path))


def test_a_plain_model_is_a_cross_encoder(tiny_bert: str) -> None:
    assert type(opened(tiny_bert)) is CrossEncoder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Poem", "is the export of Poem, which cannot be imported"),
        ("nowhere.Mine", r"is the export of nowhere\.Mine, which cannot be imported"),
        ("radio.schema.Question", "expected a Reranker"),
    ],
)
def test_a_class_that_is_no_reranker_is_named(kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        opened(note(tmp_path / "e", kind))


def test_a_setting_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"radio\.json does not fit CrossEncoder"):
        opened(note(tmp_path / "e", "CrossEncoder", max_length="long"))
