"""What is reviewed: the rationales of a prepared data module."""

from __future__ import annotations

import json

import pytest

from radio.commands.rationales_review import review_items
from radio.schema import InputError
from tests.conftest import World, read_jsonl


def test_items_come_from_a_prepared_data_module(world: World) -> None:
    from tests.data.test_module import module

    with pytest.raises(InputError, match="candidates missing"):
        review_items(module(world), "train")
    module(world).prepare_data()
    prepared = module(world)
    prepared.setup("fit")
    rows = read_jsonl(world.folder / "train.jsonl")
    items = review_items(module(world), "train", top_k=3)
    assert [item.id for item in items] == [row["id"] for row in rows]
    examples = {example.question.id: example for example in prepared.examples["train"]}
    for item, row in zip(items, rows, strict=True):
        assert (item.question, list(item.golden_answers)) == (
            row["question"],
            row["golden_answers"],
        )
        assert item.rationale.startswith("In fog captain")
        example = examples[item.id]
        assert example.teacher is not None
        assert [(c.id, c.score, c.teacher) for c in item.candidates] == [
            (c.passage_id, c.score, example.teacher[c.passage_id]) for c in example.candidates[:3]
        ]
        assert item.candidates[0].title.startswith("About port")
    with pytest.raises(InputError, match="split: found 'predict'"):
        review_items(module(world), "predict")


def test_rationales_that_fail_a_filter_are_reviewed_too_and_flagged(world: World) -> None:
    from tests.data.test_module import module

    rows = read_jsonl(world.folder / "rationales.jsonl")
    rows[0] |= {"outcome": "truncated"}
    rows[1] |= {"outcome": "refused", "rationale": ""}
    (world.folder / "rationales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    datamodule = module(world, missing_rationales="drop")
    datamodule.prepare_data()
    items = {item.id: item for item in review_items(datamodule, "train")}
    assert "truncated" in items[rows[0]["id"]].failed
    assert all(candidate.teacher is None for candidate in items[rows[0]["id"]].candidates)
    assert rows[1]["id"] not in items, "there is no text to review"
