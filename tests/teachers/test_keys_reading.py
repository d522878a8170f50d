"""The keys of teachers, as literals: see :mod:`tests.test_cache_keys`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radio.fingerprints import Fingerprinted
from radio.llm.transformers import TransformersModel
from radio.teachers import (
    AnswerLikelihood,
    LeaveOneOut,
    LikelihoodGain,
    PerplexityDistillation,
)
from radio.teachers.reading import ReadingTeacher, Text
from tests.test_cache_keys import files  # noqa: F401 -- the folder that they are made in


def model() -> TransformersModel:
    return TransformersModel("m")


PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "AnswerLikelihood": (lambda: AnswerLikelihood(model()), "c8f4ea61dfa80f5b"),
    "LeaveOneOut": (lambda: LeaveOneOut(model()), "6539a02753877f21"),
    "LikelihoodGain": (lambda: LikelihoodGain(model()), "33c8d6f6dc6070c9"),
    "PerplexityDistillation": (lambda: PerplexityDistillation(model()), "a8d7c7f878e7f943"),
}

TEXT = Text("Answer.", "Who lit the lamp?")
CONTRASTED = Text("Answer.", "Who lit the lamp? Ada lit it.", TEXT)
COMPOSED: dict[str, tuple[Callable[[], ReadingTeacher], Text, str]] = {
    "likelihood": (lambda: AnswerLikelihood(model()), TEXT, "401be27bea1cf069"),
    "likelihood, of another teacher": (
        lambda: PerplexityDistillation(model()),
        TEXT,
        "401be27bea1cf069",
    ),
    "likelihood, contrasted": (
        lambda: LikelihoodGain(model(), contrast="gainrag"),
        CONTRASTED,
        "c6fe6c957142b7fc",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_teacher_with_its_default_settings_has_the_fingerprint_that_it_always_had(
    name: str,
) -> None:
    make, expected = PARTS[name]
    assert make().fingerprint()[:16] == expected


@pytest.mark.parametrize("name", COMPOSED)
def test_a_key_is_the_one_that_it_always_was(name: str) -> None:
    make, text, expected = COMPOSED[name]
    assert make().key_of(text, "Ada")[:16] == expected
