"""The keys of teachers, as literals: see tests/test_cache_keys.py, which has more of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radio.fingerprints import Fingerprinted
from radio.generators import SpanReader
from radio.llm.anthropic import AnthropicModel
from radio.llm.transformers import TransformersModel
from radio.models import files as model_files
from radio.rerankers import CrossEncoder
from radio.teachers import (
    AnswerFlip,
    AnswerMatch,
    DownstreamMetric,
    GoldPassages,
    Listwise,
    RerankerTeacher,
    Utility,
)
from radio.teachers.prompting import JudgeTemplate


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model folder, and a hub where all models have one revision."""
    monkeypatch.chdir(tmp_path)
    Path("m").mkdir()
    Path("m/config.json").write_text('{"model_type": "bert"}')
    monkeypatch.setattr(model_files, "_hub_revision", lambda name: "c0ffee")


TEACHERS: dict[str, tuple[Callable[[], Fingerprinted], str]] = {
    "AnswerFlip": (lambda: AnswerFlip(SpanReader()), "6fb05b742e42f94b"),
    "AnswerMatch": (AnswerMatch, "c6f2a924a9f181e6"),
    "DownstreamMetric": (lambda: DownstreamMetric(SpanReader()), "b6b7d001427d2ad8"),
    "GoldPassages": (GoldPassages, "bd8e6d08f8b55241"),
    "Listwise": (lambda: Listwise(AnthropicModel()), "59e1c616faada505"),
    "RerankerTeacher": (lambda: RerankerTeacher(CrossEncoder("m")), "f9fef2db520d0aec"),
    "Utility": (lambda: Utility(TransformersModel("m")), "66fa509f1226c593"),
}


@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_with_its_default_settings_has_the_fingerprint_that_it_always_had(
    name: str,
) -> None:
    make, expected = TEACHERS[name]
    assert make().fingerprint()[:16] == expected


PROMPTS = {"listwise": "51ac65cb5cdd7e7d", "utility": "d14d813305f2e7cb"}


@pytest.mark.parametrize("name", PROMPTS)
def test_a_shipped_prompt_is_the_one_that_replies_were_paid_for(name: str) -> None:
    assert JudgeTemplate(name, "question").fingerprint[:16] == PROMPTS[name]
