"""The note of an exported folder: its class and settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.models.exported import class_name, exported, exported_class
from radio.rerankers import CrossEncoder, Reranker
from radio.schema import InputError


class Mine(Reranker):
    """A class outside of the package."""


def test_a_class_of_this_package_has_a_short_name_and_any_other_its_path() -> None:
    assert class_name(CrossEncoder) == "CrossEncoder"
    assert class_name(Mine) == "tests.models.test_exported.Mine"


def test_a_folder_without_a_note_is_no_export(tmp_path: Path) -> None:
    assert exported(str(tmp_path)) == {}
    assert exported_class(str(tmp_path)) is None


def test_the_note_says_the_class(tmp_path: Path) -> None:
    (tmp_path / "radio.json").write_text(json.dumps({"class": "BiEncoder", "init_args": {}}))
    assert exported_class(str(tmp_path)) == "BiEncoder"


@pytest.mark.parametrize("note", [{"class": 3}, {"radio": "1"}, {"class": "A", "init_args": []}])
def test_a_damaged_note_is_named(note: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "radio.json").write_text(json.dumps(note))
    with pytest.raises(InputError, match=r"radio\.json: found .*expected the keys 'class'"):
        exported(str(tmp_path))
