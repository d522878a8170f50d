"""Prompts and similarity of a model, by what its folder says or by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from radio.models.prompts import default_prefixes, model_prompts, model_similarity
from radio.schema import InputError

E5 = ("query: ", "passage: ")


@pytest.mark.parametrize(
    ("name", "prompts", "expected"),
    [
        ("intfloat/e5-base-v2", {}, E5),
        ("models/e5-small", {}, E5),
        # of the same family by name alone, with instructions of its own
        ("intfloat/e5-mistral-7b-instruct", {}, ("", "")),
        ("intfloat/multilingual-e5-base", {}, E5),
        ("BAAI/bge-m3", {}, ("", "")),
        ("intfloat/e5-base-v2", {"query": "ask: "}, ("ask: ", "")),
        ("a/model", {"query": "q ", "document": "d "}, ("q ", "d ")),
        ("a/model", {"query": None, "passage": "p ", "document": "d "}, ("", "p ")),
    ],
)
def test_prefixes_are_those_of_the_folder_else_those_of_e5(
    name: str, prompts: Mapping[str, str | None], expected: tuple[str, str]
) -> None:
    assert default_prefixes(name, prompts) == expected


def folder_that_says(place: Path, settings: Mapping[str, object]) -> str:
    place.mkdir()
    (place / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return str(place)


def test_prompts_are_read_beside_the_weights(tmp_path: Path) -> None:
    said = folder_that_says(tmp_path / "said", {"prompts": {"query": "ask: ", "document": ""}})
    assert model_prompts(said) == {"query": "ask: ", "document": ""}
    assert model_prompts(folder_that_says(tmp_path / "silent", {})) == {}


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("plain", None, "cosine"),
        ("plain", "dot", "dot"),
        ("plain", "cosine", "cosine"),
        # of a model that compares tokens, read as one of texts
        ("plain", "maxsim", "cosine"),
        ("multi-qa-mpnet-base-dot-v1", None, "dot"),
        ("msmarco-roberta-base-ance-firstp", None, "dot"),
        ("msmarco-roberta-base-ance-firstp", "cosine", "cosine"),
    ],
)
def test_similarity_is_that_of_the_folder_else_known_by_name(
    name: str, said: str | None, expected: str, tmp_path: Path
) -> None:
    settings = {} if said is None else {"similarity_fn_name": said}
    assert model_similarity(folder_that_says(tmp_path / name, settings)) == expected


@pytest.mark.parametrize("said", ["euclidean", "manhattan"])
def test_a_distance_is_refused(said: str, tmp_path: Path) -> None:
    folder = folder_that_says(tmp_path / "model", {"similarity_fn_name": said})
    with pytest.raises(InputError, match=f"found '{said}', expected cosine or dot"):
        model_similarity(folder)
