"""Teachers that ask, as a command is given them: classes by short names, folders by their path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.rerankers import CrossEncoder
from tests.conftest import ROOT, World, entries

TEACHER = "--data.init_args.teacher"


def given(**settings: str) -> list[str]:
    words = []
    for name, value in settings.items():
        words += [f"{TEACHER}.init_args.{name.replace('__', '.init_args.')}", value]
    return words


def prepare(radio: Any, world: World, kind: str, *options: str) -> tuple[int, str, str]:
    few = ("--data.init_args.train_candidates", "4", "--data.init_args.eval_candidates", "4")
    config = ("--config", str(ROOT / "configs/jsonl.yaml"))
    found: tuple[int, str, str] = radio(
        "prepare", *config, *world.arguments, *few, TEACHER, kind, *options
    )
    return found


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / ".radio_cache/radio.sqlite")


def test_an_exported_folder_teaches(
    radio: Any, world: World, tiny_bert: str, tmp_path: Path, cache: Cache
) -> None:
    reranker = CrossEncoder(tiny_bert, max_length=48)
    reranker.configure_model()
    reranker.export(tmp_path / "run/export")
    status, _, err = prepare(radio, world, "RerankerTeacher", *given(reranker="run"))
    assert status == 0, err
    found = entries(cache)
    assert found["teacher"] == 16
    assert found["reranker score"] == 16 * 4
    options = given(reranker="CrossEncoder", reranker__model="run/export", scale="sigmoid")
    status, _, err = prepare(radio, world, "RerankerTeacher", *options)
    assert status == 0, err


@pytest.mark.parametrize("kind", ["Utility", "Listwise"])
def test_a_language_model_teaches(
    kind: str, radio: Any, world: World, tiny_generator: str, cache: Cache
) -> None:
    model = {"model": "TransformersModel", "model__model": tiny_generator}
    options = given(**model, model__accelerator="cpu", model__max_tokens="8", show="answers")
    status, _, err = prepare(radio, world, kind, *options)
    assert status == 0, err
    found = entries(cache)
    assert found["teacher"] == 16
    assert found["judgement" if kind == "Utility" else "answer"] >= 16


@pytest.mark.parametrize("kind", ["DownstreamMetric", "AnswerFlip"])
def test_a_generator_teaches(kind: str, radio: Any, world: World, cache: Cache) -> None:
    status, _, err = prepare(radio, world, kind, *given(generator="SpanReader"))
    assert status == 0, err
    found = entries(cache)
    assert (found["teacher"], found["answer"]) == (16, 16 * 4)
