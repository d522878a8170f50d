"""The scores of any teacher: asked for once, kept where training finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radio.data.scoring import Scoring
from radio.retrievers import BM25
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import AnswerMatch, Blend, GoldPassages, RetrievalScore, Teacher
from tests.commands.test_rationales_report import change, module
from tests.conftest import World, entries, read_jsonl, write_jsonl
from tests.retrievers.test_hybrid import Spying


class Length(Teacher):
    """By the length of the rationale and the passage; counts what it is asked."""

    def __init__(self, scale: float = 1.0, needs_rationale: bool = True) -> None:
        self.scale = scale
        self.needs_rationale = needs_rationale
        self._asked: list[str] = []
        self._released = 0

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        self._asked.append(question.id)
        text = rationale.text if rationale else ""
        return [self.scale * (len(text + p.contents) % 7) / 7 for p in passages]

    def release(self) -> None:
        self._released += 1


def scoring(world: World, **changes: Any) -> Scoring:
    return Scoring(module(world, **changes).preparation, "train")


def test_a_retriever_that_learns_is_told_training_questions_whatever_is_scored(
    world: World,
) -> None:
    spying = Spying([BM25(), BM25(k1=2.0)], "min_max", "learnt")
    data = module(world, retriever=spying)
    scored = Scoring(data.preparation, "validation")
    part, _ = scored._part(AnswerMatch())
    part.candidate_keys("validation")
    assert spying._told == {question.id for question in data.split_questions("train")}
    assert scored.score(AnswerMatch()).scores


def test_scores_are_asked_for_once_and_found_by_training(world: World) -> None:
    teacher = Length()
    first = scoring(world, teacher=RetrievalScore()).score(teacher)
    assert (first.cached, first.left_out) == (0, {})
    assert first.seconds > 0
    assert teacher._asked == list(first.scores) != []
    assert teacher._released
    again = Length()
    second = scoring(world, teacher=RetrievalScore()).score(again)
    assert (second.scores, second.cached, second.seconds) == (
        first.scores,
        len(first.scores),
        0.0,
    )
    # a run whose own teacher it is asks nothing
    datamodule = module(world, teacher=again)
    datamodule.preparation.fill(["train"])
    assert again._asked == []
    examples = datamodule.preparation.examples("train")
    assert {e.question.id: e.teacher for e in examples} == first.scores


def test_the_teacher_of_the_run_is_left_alone(world: World) -> None:
    own = Length()
    datamodule = module(world, teacher=own)
    Scoring(datamodule.preparation, "train").score(AnswerMatch())
    assert own._asked == []
    assert datamodule.preparation.teacher is own
    assert len(datamodule.preparation.questions("train")) == 12


def test_questions_that_a_teacher_cannot_score_are_left_out_with_a_reason(world: World) -> None:
    ids = [row["id"] for row in read_jsonl(world.folder / "train.jsonl")]
    change(world, {ids[2]: None, ids[3]: {"outcome": "refused"}})
    preparation = module(world).preparation
    questions = list(preparation.questions("train"))
    questions[0] = replace(questions[0], golden_answers=())
    questions[1] = replace(questions[1], metadata={"gold_ids": ["port0-0"]})
    preparation.questions = lambda split: questions
    found = Scoring(preparation, "train")
    assert found.score(AnswerMatch()).left_out == {ids[0]: "no golden answers"}
    assert found.score(Length()).left_out == dict.fromkeys(ids[2:4], "no rationale")
    assert found.score(RetrievalScore()).left_out == {}
    annotated = found.score(GoldPassages())
    assert list(annotated.scores) == [ids[1]]
    assert set(annotated.left_out.values()) == {"no annotated passages"}


def test_without_a_writer_there_are_no_rationales(world: World) -> None:
    found = scoring(world, rationales=None, teacher=RetrievalScore()).score(Length())
    assert found.scores == {}
    assert set(found.left_out.values()) == {"no rationale"}


def test_rationales_are_obtained_once_for_all_teachers(world: World) -> None:
    datamodule = module(world, teacher=RetrievalScore())
    asked = Scoring(datamodule.preparation, "train")
    asked.score(RetrievalScore())
    assert "rationale" not in entries(datamodule.cache)
    asked.score(Length())
    (world.folder / "rationales.jsonl").write_text("")
    assert asked.score(Blend([Length(), RetrievalScore()])).left_out == {}


def test_a_part_of_a_blend_may_have_any_scale(world: World) -> None:
    found, teacher = scoring(world), Length(scale=100.0)
    scores = found.raw(teacher)
    assert max(max(row.values()) for row in scores.values()) > 1
    assert teacher._released
    # what training could not take is not kept for it
    with pytest.raises(InputError, match=r"Length.score.*expected .* in \[0, 1\]"):
        found.score(teacher)


def test_a_part_whose_scores_are_known_is_not_asked(world: World) -> None:
    found = scoring(world)
    scores = found.score(Length()).scores
    again = Length()
    assert found.raw(again) == scores
    assert again._asked == []


def test_questions_without_candidates(world: World) -> None:
    from radio.retrievers import Precomputed

    rows = []
    for split in ("train", "validation", "test"):
        for row in read_jsonl(world.folder / f"{split}.jsonl"):
            rows.append({"id": row["id"], "candidate_ids": []})
    path: Path = write_jsonl(world.folder / "run.jsonl", rows)
    found = scoring(world, retriever=Precomputed(str(path))).score(RetrievalScore())
    assert found.scores == {}
    assert set(found.left_out.values()) == {"no candidates"}
