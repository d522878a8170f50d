"""What an annotation allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from radio.config.kinds import Kind, kind_of, parameters
from radio.losses import InfoNCE, Loss
from radio.rerankers.tuning import LoRA
from radio.teachers import Teacher


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Loss, Kind((Loss,))),
        (Loss | Teacher | None, Kind((Loss, Teacher), nothing=True)),
        (Loss | str, Kind((Loss,), text=True)),
        (list[Loss] | None, Kind(items=Loss, nothing=True)),
        (Sequence[Loss], Kind(items=Loss)),
        (dict[str, Loss], Kind(entries=Loss)),
        (LoRA | None, Kind(record=LoRA, nothing=True)),
        (Literal["a", "b"], Kind(text=True)),
        # plain values are the parser's
        (int | float, Kind()),
        (list[int], Kind()),
        (dict[str, float], Kind()),
        (Path, Kind()),
        (Any, Kind()),
    ],
    ids=str,
)
def test_classes_records_lists_and_dictionaries_of_parts_are_known(
    annotation: Any, expected: Kind
) -> None:
    assert kind_of(annotation) == expected


def test_arguments_of_a_class_have_their_annotations() -> None:
    assert parameters(InfoNCE)["positives"] is int
