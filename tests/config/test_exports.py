"""An exported folder that is given as the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace

from radio.config.exports import adopt_export
from radio.schema import InputError


def config(folder: Path, **settings: Any) -> Namespace:
    init_args = Namespace(model=str(folder), **settings)
    return Namespace(
        model=Namespace(class_path="radio.rerankers.CrossEncoder", init_args=init_args)
    )


def export(folder: Path, **note: Any) -> Path:
    folder.mkdir()
    (folder / "radio.json").write_text(json.dumps({"radio": "1", **note}))
    return folder


def test_class_and_settings_of_the_folder_are_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(tmp_path / "e", **{"class": "BiEncoder", "init_args": {"max_length": 40}})
    adopted = config(folder, max_length=512, lr=1e-4)
    adopt_export(adopted, [])
    assert adopted.model.class_path.endswith(".BiEncoder")
    assert adopted.model.init_args.max_length == 40
    assert adopted.model.init_args.lr == 1e-4, "of the config, since the folder does not say"
    assert "is the export of BiEncoder: max_length 40" in capsys.readouterr().err


def test_the_command_line_wins(tmp_path: Path) -> None:
    folder = export(tmp_path / "e", **{"class": "CrossEncoder", "init_args": {"max_length": 40}})
    adopted = config(folder, max_length=64)
    adopt_export(adopted, ["--model.init_args.max_length", "64"])
    assert adopted.model.init_args.max_length == 64
    other = export(tmp_path / "b", **{"class": "BiEncoder"})
    with pytest.raises(InputError, match=r"--model: found CrossEncoder, but .*export of BiEncoder"):
        adopt_export(config(other), ["--model", "CrossEncoder"])


def test_another_folder_is_no_export(tmp_path: Path) -> None:
    plain = config(tmp_path, max_length=64)
    adopt_export(plain, [])
    assert plain == config(tmp_path, max_length=64)
