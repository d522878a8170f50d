"""What a run learns from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from radio.runs.examples import data_fingerprint, examples_of
from radio.schema import Example, Question


def example(identifier: str, teacher: dict[str, float] | None = None) -> Example:
    return Example(Question(identifier, "Who?", ("Ada",)), (), teacher)


@pytest.mark.parametrize("trainer", [SimpleNamespace(), SimpleNamespace(datamodule=None)])
def test_a_trainer_with_other_data_has_no_examples(trainer: Any) -> None:
    assert examples_of(trainer) == {}


def test_the_examples_are_those_of_the_data_module() -> None:
    examples = {"train": [example("q")]}
    trainer: Any = SimpleNamespace(datamodule=SimpleNamespace(examples=examples))
    assert examples_of(trainer) is examples


def test_the_fingerprint_follows_questions_teacher_scores_and_weights() -> None:
    one = data_fingerprint([example("q", {"a": 0.5, "b": 1.0})])
    assert one == data_fingerprint([example("q", {"b": 1.0, "a": 0.5})])
    assert one != data_fingerprint([example("q", {"a": 0.5, "b": 0.9})])
    assert one != data_fingerprint([example("r", {"a": 0.5, "b": 1.0})])
    assert one != data_fingerprint([replace(example("q", {"a": 0.5, "b": 1.0}), weight=0.5)])
    assert data_fingerprint([])["questions"] == 0
