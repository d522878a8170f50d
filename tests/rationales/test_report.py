"""The numbers about rationales add up, and there is a row for each question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radio.commands.rationales_report import report
from tests.commands.test_rationales_report import change, prepared, train_ids
from tests.conftest import World, read_jsonl, write_jsonl


def test_the_numbers_count_questions_rationales_and_failed_checks(
    world: World, tmp_path: Path
) -> None:
    ids = train_ids(world)
    usage = {"input": 100, "output": 20, "tier": "standard"}
    change(
        world,
        {
            ids[0]: None,
            ids[1]: {"rationale": "", "outcome": "refused", "model": "other", "usage": usage},
            ids[2]: {"rationale": "I'm sorry, but I cannot verify that.", "usage": usage},
            ids[3]: {"rationale": "In fog captain0 lit", "outcome": "truncated"},
        },
    )
    numbers = report(prepared(world), ["train"], tmp_path / "out")["train"]
    total = len(ids)
    assert (numbers["questions"], numbers["rationales"], numbers["missing"]) == (
        total,
        total - 1,
        1,
    )
    assert numbers["outcomes"] == {"written": total - 3, "refused": 1, "truncated": 1}
    assert numbers["models"] == {"recorded": total - 2, "other": 1}
    assert numbers["tokens"] == {"input": 200, "output": 40}
    assert {name: part["count"] for name, part in numbers["checks"].items()} == {
        "empty": 0,
        "refusal": 2,
        "truncated": 1,
        "no_answer": 3,
        "repeats": 3,
        "too_long": 0,
    }
    assert numbers["checks"]["refusal"]["share"] == pytest.approx(2 / (total - 1))
    # what the filters drop is counted all the same
    assert numbers["pass_filters"] == {
        "count": total - 4,
        "share": pytest.approx((total - 4) / (total - 1)),
    }
    assert numbers["words"]["median"] == 11
    assert json.loads((tmp_path / "out/rationales.json").read_text()) == {"train": numbers}


def test_there_is_a_row_for_each_question(world: World, tmp_path: Path) -> None:
    ids = train_ids(world)
    change(world, {ids[0]: None, ids[1]: {"rationale": "Nobody did."}})
    report(prepared(world), ["train", "test"], tmp_path)
    rows = read_jsonl(tmp_path / "rationales.jsonl")
    assert [row["id"] for row in rows if row["split"] == "train"] == ids
    assert {row["split"] for row in rows} == {"train", "test"}
    assert rows[0]["rationale"] is None
    assert (rows[0]["failed"], rows[0]["words"]) == ([], None)
    assert (rows[1]["failed"], rows[1]["words"]) == (["no_answer", "repeats"], 2)
    assert (
        rows[1]["golden_answers"] == read_jsonl(world.folder / "train.jsonl")[1]["golden_answers"]
    )


def test_support_counts_questions_with_an_answer_among_their_candidates(
    world: World, tmp_path: Path
) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    write_jsonl(
        world.folder / "train.jsonl", [{**rows[0], "golden_answers": ["admiral9"]}, *rows[1:]]
    )
    numbers = report(prepared(world), ["train"], tmp_path)["train"]
    assert numbers["support"]["answer"] == {
        "count": len(rows) - 1,
        "share": pytest.approx(1 - 1 / len(rows)),
    }


def test_multiple_choice_and_other_scripts(world: World, tmp_path: Path) -> None:
    rows = read_jsonl(world.folder / "train.jsonl")
    rows[0] |= {"choices": ["captain0", "captain1"], "golden_answers": [0]}
    rows[1] |= {"question": "法国的首都是哪里?", "golden_answers": ["巴黎"]}
    write_jsonl(world.folder / "train.jsonl", rows)
    text = "It was foggy and no ship could see the tower, so option A is correct."
    change(
        world,
        {rows[0]["id"]: {"rationale": text}, rows[1]["id"]: {"rationale": "法国的首都是巴黎 🗼。"}},
    )
    report(prepared(world), ["train"], tmp_path)
    first, second = read_jsonl(tmp_path / "rationales.jsonl")[:2]
    assert (first["choices"], first["failed"]) == (["captain0", "captain1"], [])
    assert second["words"] == 8
    assert "法国的首都是巴黎 🗼。" in (tmp_path / "rationales.html").read_text(encoding="utf-8")
