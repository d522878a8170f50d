"""The keys of teachers, as literals: see :mod:`tests.test_cache_keys`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radio.fingerprints import Fingerprinted
from radio.generators import SpanReader
from radio.llm.anthropic import AnthropicModel
from radio.llm.transformers import TransformersModel
from radio.rerankers import CrossEncoder
from radio.teachers import (
    AnswerFlip,
    DownstreamMetric,
    Listwise,
    RerankerTeacher,
    Utility,
)
from radio.teachers.prompting import JudgeTemplate
from tests.test_cache_keys import files  # noqa: F401 -- the folder that they are made in

PARTS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "AnswerFlip": (lambda: AnswerFlip(SpanReader()), "6fb05b742e42f94b"),
    "DownstreamMetric": (lambda: DownstreamMetric(SpanReader()), "b6b7d001427d2ad8"),
    "Listwise": (lambda: Listwise(AnthropicModel()), "59e1c616faada505"),
    "RerankerTeacher": (lambda: RerankerTeacher(CrossEncoder("m")), "f9fef2db520d0aec"),
    "Utility": (lambda: Utility(TransformersModel("m")), "66fa509f1226c593"),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_teacher_with_its_default_settings_has_the_fingerprint_that_it_always_had(
    name: str,
) -> None:
    make, expected = PARTS[name]
    assert make().fingerprint()[:16] == expected


PROMPTS = {"listwise": "51ac65cb5cdd7e7d", "utility": "d14d813305f2e7cb"}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_shipped_prompt_is_the_one_that_replies_were_paid_for(name: str) -> None:
    assert JudgeTemplate(name, "question").fingerprint[:16] == PROMPTS[name]
