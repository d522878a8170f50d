"""What a run learns from, whoever prepares it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L

from radio.schema import Example


def examples_of(trainer: L.Trainer) -> Mapping[str, Sequence[Example]]:
    """The examples of each split that the data module of a trainer has set up; nothing where it is
    not one of this project."""
    datamodule = getattr(trainer, "datamodule", None)
    examples: Mapping[str, Sequence[Example]] = getattr(datamodule, "examples", {})
    return examples


def data_fingerprint(examples: Sequence[Example]) -> dict[str, Any]:
    """What a run is trained on: the number of questions, and a digest of them, their candidates,
    teacher scores and weights."""
    digest = hashlib.sha256()
    for example in examples:
        teacher = sorted((example.teacher or {}).items())
        line = json.dumps([example.question.id, example.question.question, teacher])
        if example.weight != 1:
            line += json.dumps(example.weight)
        digest.update(line.encode())
    return {"questions": len(examples), "digest": digest.hexdigest()}
