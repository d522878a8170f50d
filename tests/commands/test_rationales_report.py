"""The report on rationales: numbers that add up, files that hold them, and a page that is safe to
open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data_modules import JsonlDataModule
from radio.commands.rationales_report import report
from radio.encoders import Encoder
from radio.rationales import Recorded
from radio.rationales.checks import CHECKS, QualityChecks
from radio.retrievers import BM25, Precomputed
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import Blend, RationaleSimilarity, RetrievalScore, Teacher
from tests.conftest import World, read_jsonl, write_jsonl

CHEAP = tuple(name for name in CHECKS if name not in {"contradicts", "unsupported"})


class NoEncoder(Teacher):
    """A teacher that needs rationales but has no encoder."""

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return [0.5] * len(passages)


def module(world: World, **changes: Any) -> JsonlDataModule:
    files = {
        name: str(world.folder / f"{name}.jsonl")
        for name in ("train", "validation", "test", "corpus")
    }
    settings = {
        "retriever": BM25(),
        "rationales": Recorded(str(world.folder / "rationales.jsonl")),
        "teacher": NoEncoder(),
        "cache_dir": str(world.folder / "cache"),
        "train_candidates": 10,
        "missing_rationales": "drop",
        # the rationales of the tiny world have ten words
        "rationale_checks": QualityChecks(min_new_words=3),
    }
    return JsonlDataModule(**{**files, **settings, **changes})


def prepared(world: World, **changes: Any) -> JsonlDataModule:
    datamodule = module(world, **changes)
    datamodule.prepare_data()
    return datamodule


def change(world: World, rationales: dict[str, dict[str, Any] | None]) -> None:
    """Replace parts of rows of the rationale file, or take rows out."""
    rows = read_jsonl(world.folder / "rationales.jsonl")
    changed = [
        {**row, **(rationales.get(row["id"], {}) or {})}
        for row in rows
        if rationales.get(row["id"], row)
    ]
    write_jsonl(world.folder / "rationales.jsonl", changed)


def train_ids(world: World) -> list[str]:
    return [row["id"] for row in read_jsonl(world.folder / "train.jsonl")]


@pytest.mark.parametrize("blended", [False, True])
def test_the_teachers_encoder_is_taken_and_named(
    blended: bool, world: World, tiny_bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher: Teacher = RationaleSimilarity(Encoder(tiny_bert, max_length=48))
    datamodule = prepared(world, teacher=Blend([teacher, RetrievalScore()]) if blended else teacher)
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["similarity"]["encoder_of"] == "teacher"
    assert "teacher's)" in capsys.readouterr().out
    assert "(the teacher&#39;s)" in (tmp_path / "rationales.html").read_text()
    # the data module itself is left as it was
    assert datamodule.rationale_checks.encoder is None
    rows = read_jsonl(tmp_path / "rationales.jsonl")
    values = [row["best_similarity"] for row in rows]
    assert numbers["similarity"]["mean"] == pytest.approx(sum(values) / len(values))
    assert {row["best_passage"] for row in rows} <= set(datamodule.corpus)


def test_the_checks_own_encoder_comes_first(world: World, tiny_bert: str, tmp_path: Path) -> None:
    own = Encoder(tiny_bert, max_length=32)
    datamodule = prepared(
        world,
        rationale_checks=QualityChecks(encoder=own, min_similarity=1.0),
        teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)),
    )
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["similarity"]["encoder_of"] == "rationale_checks"
    assert own._loaded is not None
    unsupported = numbers["checks"]["unsupported"]["count"]
    assert unsupported > 0
    assert unsupported + numbers["support"]["similar"]["count"] == numbers["rationales"]


def test_a_second_report_loads_no_model_and_writes_the_same(
    world: World, tiny_bert: str, tmp_path: Path
) -> None:
    prepared(world, teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)))
    written = []
    for name in ("first", "second"):
        encoder = Encoder(tiny_bert, max_length=48)
        report(module(world, teacher=RationaleSimilarity(encoder)), ["train"], tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert encoder._loaded is None
    assert written[0] == written[1]
    assert sorted(written[0]) == ["rationales.html", "rationales.json", "rationales.jsonl"]


# Edges


def test_questions_without_candidates(world: World, tiny_bert: str, tmp_path: Path) -> None:
    ids = [
        row["id"]
        for split in ("train", "validation", "test")
        for row in read_jsonl(world.folder / f"{split}.jsonl")
    ]
    path = write_jsonl(
        world.folder / "run.jsonl", [{"id": identifier, "candidate_ids": []} for identifier in ids]
    )
    datamodule = prepared(
        world,
        retriever=Precomputed(str(path)),
        teacher=RationaleSimilarity(Encoder(tiny_bert, max_length=48)),
    )
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert numbers["checks"]["unsupported"]["share"] == 1
    assert numbers["support"]["similar"]["count"] == 0
    assert numbers["similarity"].keys() == {"encoder", "encoder_of"}
    assert read_jsonl(tmp_path / "rationales.jsonl")[0]["best_similarity"] is None


@pytest.mark.parametrize(
    ("changes", "split", "message"),
    [
        (
            {"rationales": None},
            "train",
            r"found no use for rationales.*data\.init_args\.rationales",
        ),
        ({"teacher": RetrievalScore()}, "train", "found no use for rationales"),
        (
            {"test": None},
            "test",
            "split: found 'test', expected one of the splits that have questions",
        ),
        ({}, "train", r"candidates missing for .*\n.*radio prepare"),
    ],
)
def test_what_can_not_be_reported_says_why(
    changes: dict[str, Any], split: str, message: str, world: World, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        report(module(world, **changes), [split], tmp_path / "out")
    assert not (tmp_path / "out").exists()
