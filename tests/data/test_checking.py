"""What is wrong with a dataset is said, and questions are left out by choice alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from radio.data.checking import by_id, check_names
from radio.retrievers import Precomputed
from radio.schema import InputError, Passage
from tests.conftest import World, read_jsonl, write_jsonl
from tests.data.test_module import module


def test_questions_of_which_the_teacher_prefers_nothing_are_kept_or_left_out_by_choice(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    train = read_jsonl(world.folder / "train.jsonl")
    rows = read_jsonl(world.folder / "rationales.jsonl")

    def trained(indifferent: Sequence[str], **changes: Any) -> set[str]:
        kept = [
            {**r, "rationale": "zzz" if r["id"] in indifferent else r["rationale"]} for r in rows
        ]
        write_jsonl(world.folder / "rationales.jsonl", kept)
        data = module(world, rationale_filters=(), **changes)
        data.prepare_data()
        data.setup("fit")
        return {e.question.id for e in data.examples["train"]}

    ids = {r["id"] for r in train}
    assert trained([train[0]["id"]]) == ids
    assert trained([train[0]["id"]], tied_questions="drop") == ids - {train[0]["id"]}
    assert f"train: 1 of {len(ids)} questions have all candidates tied" in caplog.text
    with pytest.raises(InputError, match="scores all candidates of every question alike"):
        trained(sorted(ids), tied_questions="drop")


def test_questions_without_a_rationale_are_an_error_or_left_out_by_choice(world: World) -> None:
    rows = read_jsonl(world.folder / "rationales.jsonl")
    write_jsonl(world.folder / "rationales.jsonl", rows[1:])
    with pytest.raises(InputError, match=f"rationale missing for 1 of .*{rows[0]['id']}"):
        module(world).prepare_data()
    dropped = module(world, missing_rationales="drop")
    dropped.prepare_data()
    dropped.setup("fit")
    assert rows[0]["id"] not in {e.question.id for e in dropped.examples["train"]}
    write_jsonl(world.folder / "rationales.jsonl", [])
    with pytest.raises(InputError, match="rationale missing for"):
        module(world, missing_rationales="drop").prepare_data()


def test_questions_without_a_candidate_are_kept_and_said(world: World) -> None:
    names = ("train", "validation", "test")
    questions = {
        name: [row["id"] for row in read_jsonl(world.folder / f"{name}.jsonl")] for name in names
    }
    entries = [{"id": f"port0-{n}", "score": 1 / (1 + n)} for n in range(3)]
    none = questions["test"][0]
    rows = [
        {"id": q, "candidates": [] if q == none else entries}
        for found in questions.values()
        for q in found
    ]
    path = write_jsonl(world.folder / "lists.jsonl", rows)
    data = module(world, retriever=Precomputed(str(path)))
    data.prepare_data()
    with pytest.warns(
        UserWarning, match=rf"test: 1 of 2 questions have no candidate: \['{none}'\]"
    ):
        data.setup("test")
    assert [e.question.id for e in data.examples["test"]] == questions["test"]
    assert data.examples["test"][0].candidates == ()


def test_a_dataset_in_which_nothing_can_be_compared_is_refused(world: World) -> None:
    names = ("train", "validation", "test")
    rows = [row for name in names for row in read_jsonl(world.folder / f"{name}.jsonl")]
    found = [{"id": row["id"], "candidates": [{"id": "port0-0", "score": 1}]} for row in rows]
    lists = write_jsonl(world.folder / "lists.jsonl", found)
    data = module(world, retriever=Precomputed(str(lists)))
    data.prepare_data()
    with (
        pytest.warns(UserWarning, match="train: 12 questions have fewer than 2 candidates"),
        pytest.raises(InputError, match=r"no question has a rationale and at least 2 candidates"),
    ):
        data.setup("fit")


def test_golden_answers_that_are_none_of_the_choices_are_said(
    world: World, recwarn: pytest.WarningsRecorder
) -> None:
    path = world.folder / "validation.jsonl"
    rows = read_jsonl(path)
    named = rows[0]["golden_answers"]
    for row in rows:
        row |= {"choices": [*named, "fog"], "golden_answers": ["B", "FOG", *named]}
    write_jsonl(path, rows)
    module(world).prepare_data()
    assert not [w for w in recwarn if "none of the choices" in str(w.message)]
    rows[0]["golden_answers"] = ["E", "mist"]
    rows[1]["golden_answers"] = ["fog", "haze"]
    write_jsonl(path, rows)
    message = (
        f"validation: 3 of 4 golden answers are none of the choices, such as 'E' of question "
        rf"'{rows[0]['id']}' \(choices .*\); .*whatever is chosen: 1;"
    )
    with pytest.warns(UserWarning, match=message):
        module(world).prepare_data()


@pytest.mark.parametrize(
    ("names", "message"),
    [(["train", "dev", "tset"], "splits: found dev, tset, expected some of train, test"), ([], "")],
)
def test_names_that_there_are_not_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) if message else nullcontext():
        check_names("splits", names, ("train", "test"))


def test_passages_are_joined_by_id() -> None:
    fog = Passage("p1", "Fog is a cloud.")
    assert by_id(object(), [fog]) == {"p1": fog}
    with pytest.raises(InputError, match="object: the corpus is empty"):
        by_id(object(), [])
