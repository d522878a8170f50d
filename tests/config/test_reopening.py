"""Data module and generators out of the config that a run has kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from data_modules import JsonlDataModule
from radio.config.reopening import parts_of
from radio.config.shipped import find_config, shipped_configs
from radio.data.module import RationaleDataModule
from radio.generators import SpanReader
from radio.schema import InputError
from tests.diagnosing.runs import made_run

OWN = """
from radio.callbacks import GeneratorInTheLoop

class Loud(GeneratorInTheLoop):
    pass
"""


def test_the_parts_are_those_of_the_config(tmp_path: Path) -> None:
    named = {"class_path": "GeneratorInTheLoop", "init_args": {"name": "b", "top_k": [1, 3]}}
    plain = {"class_path": "radio.callbacks.GeneratorInTheLoop", "init_args": {"top_k": 4}}
    run = made_run(tmp_path / "run", callbacks=[plain, named], evaluated=False)
    data, loops = parts_of(run / "config.yaml")
    assert type(data) is JsonlDataModule
    assert len(data.split_questions("test")) == 12
    assert [(loop.name, loop.top_k, type(loop.generator)) for loop in loops] == [
        (None, 4, SpanReader),
        ("b", [1, 3], SpanReader),
    ]


def test_a_generator_in_the_loop_of_ones_own_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_loop.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_loop", raising=False)
    callbacks = [{"class_path": "own_loop.Loud", "init_args": {"top_k": 2}}]
    run = made_run(tmp_path / "run", callbacks=callbacks, evaluated=False)
    _, (loop,) = parts_of(run / "config.yaml")
    assert type(loop).__name__ == "Loud"


@pytest.mark.parametrize("name", ["quickstart", "jsonl"])
def test_shipped_configs_can_be_reopened(name: str) -> None:
    assert name in shipped_configs()
    data, loops = parts_of(Path(find_config(name)))
    assert isinstance(data, RationaleDataModule)
    assert [loop.top_k for loop in loops] == [3]


def test_a_mistake_names_file_and_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with pytest.raises(InputError, match=r"config.yaml: no such file, expected the config"):
        parts_of(path)
    path.write_text("model:\n  class_path: BiEncoder\n")
    with pytest.raises(InputError, match="found no data, expected the data module of the run"):
        parts_of(path)
    data = {"class_path": "JsonlDataModule", "init_args": {"eval_candidates": 0}}
    path.write_text(yaml.safe_dump({"data": data}))
    with pytest.raises(InputError, match="eval_candidates: found 0, expected a whole number"):
        parts_of(path)
    path.write_text(yaml.safe_dump({"data": {"class_path": "JsonlDataModul"}}))
    with pytest.raises(InputError, match=r"config.yaml: key 'data.*did you mean 'JsonlDataModule'"):
        parts_of(path)
