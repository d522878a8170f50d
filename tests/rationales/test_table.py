"""The table about rationales."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.commands.rationales_report import report
from radio.encoders import Encoder
from radio.rationales.table import table
from radio.schema import InputError
from radio.teachers import RationaleSimilarity
from tests.commands.test_rationales_report import CHEAP, module, prepared
from tests.conftest import World, make_world


def test_without_an_encoder_nothing_is_said_about_similarity(world: World, tmp_path: Path) -> None:
    numbers = report(prepared(world), ["train"], tmp_path)["train"]
    assert numbers["similarity"] is None
    assert tuple(numbers["checks"]) == CHEAP
    assert list(numbers["support"]) == ["answer"]
    shown = table(numbers)
    assert shown["check: unsupported"] == "not made: needs an encoder"
    assert shown["check: contradicts"] == "not made: needs a judge"


def test_no_rationale_at_all(world: World, tiny_bert: str, tmp_path: Path) -> None:
    world_of_none = make_world(world.folder.parent / "none")
    (world_of_none.folder / "rationales.jsonl").write_text("")
    datamodule = module(world_of_none, teacher=RationaleSimilarity(Encoder(tiny_bert)))
    with pytest.raises(InputError, match="rationale missing"):
        datamodule.prepare_data()
    numbers = report(datamodule, ["train"], tmp_path)["train"]
    assert (numbers["rationales"], numbers["missing"]) == (0, numbers["questions"])
    assert numbers["checks"]["empty"] == {"count": 0, "share": None}
    assert numbers["words"] == {}
    assert "NaN" not in (tmp_path / "rationales.json").read_text()
    assert "<img" not in (tmp_path / "rationales.html").read_text()
