"""The report on teachers, as a user types it and from the inside."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radio.callbacks import GeneratorInTheLoop
from radio.commands.teachers_report import (
    compared,
    judged_by_themselves,
    named_teachers,
    report,
    target_temperature,
)
from radio.generators import SpanReader
from radio.losses import Huber, ListNet, NoisyTeacher, RankNet, WeightedSum
from radio.retrievers import BM25
from radio.schema import InputError
from radio.teachers import AnswerMatch, Blend, Gated, RetrievalScore, Teacher
from tests.commands.test_rationales_report import NoEncoder, module
from tests.config.test_overlays import OWN
from tests.conftest import World, entries, read_jsonl, write_jsonl

Radio = Callable[..., tuple[int, str, str]]


def annotate(world: World, count: int = 100) -> None:
    """Annotate the passage with the answer of the first so many questions of validation."""
    rows = read_jsonl(world.folder / "validation.jsonl")
    for row in rows[:count]:
        row["metadata"] = {"gold_ids": [f"port{row['id'].split('-')[1]}-0"]}
    write_jsonl(world.folder / "validation.jsonl", rows)


@pytest.fixture
def own_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A config file of the user's with a teacher of the user's."""
    (tmp_path / "own_teacher.py").write_text(OWN)
    (tmp_path / "longest.yaml").write_text("data.init_args.teacher: own_teacher.Longest\n")
    monkeypatch.delitem(sys.modules, "own_teacher", raising=False)
    return "longest.yaml"


def test_a_report_as_a_user_types_it(
    radio: Radio, tiny_run: list[str], world: World, own_teacher: str, tmp_path: Path
) -> None:
    annotate(world)
    typed = ["--teachers", f"{own_teacher},answer_match", "--top_k", "2", "--output", "out"]
    status, out, err = radio("teachers", "report", *tiny_run, *typed)
    assert status == 0, err
    assert "teachers on validation: 2 questions, 6 candidates each" in out
    assert "longest: Longest, the overlay longest.yaml; 0 of 2 questions were in the cache" in out
    assert out.endswith("report: out/teachers.html\n")
    document = json.loads((tmp_path / "out/teachers.json").read_text())
    names = ["retrieval", "configured", "longest", "answer_match", "answers", "annotated"]
    assert list(document["teachers"]) == names
    # the tiny configuration has a generator in the loop, and a loss with a temperature
    assert {"em@2", "f1@2", "gold_nDCG@5", "nDCG@5"} <= set(document["metrics"])
    for name in ("answer_match", "answers", "annotated"):
        assert document["teachers"][name]["means"]["gold_P@1"] == 1.0
    rows = read_jsonl(tmp_path / "out/teachers.jsonl")
    assert [row["compared"] for row in rows] == [True, True]
    # a second report finds all that the first has obtained
    status, out, err = radio("teachers", "report", *tiny_run, *typed)
    assert (status, out.count("2 of 2 questions were in the cache")) == (0, 6), err
    again = json.loads((tmp_path / "out/teachers.json").read_text())
    for name in names:
        known, found = document["teachers"][name], again["teachers"][name]
        for key in ("cached", "seconds"):
            known.pop(key), found.pop(key)
        assert known == found


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--teachers", "gatd"], "did you mean teachers/gated?"),
        (["--teachers", "gated,teachers/gated"], "found a second teacher of the name 'gated'"),
        (["--curve", "configured,nobody"], "--curve: found 'configured,nobody', expected two"),
        (["--top_k", "0"], "radio teachers report: top_k: found 0, expected"),
        (["--split", "dev"], "--split: found 'dev', expected one of"),
    ],
)
def test_a_mistake_is_one_message(
    typed: list[str], message: str, radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    status, out, err = radio("teachers", "report", *tiny_run, *typed)
    assert status == 2, out
    assert message in err
    # before anything is scored
    assert "teacher:" not in err
    assert not (tmp_path / "runs/tiny/teachers.json").exists()


def test_files_that_no_report_has_made_are_left_alone(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/teachers.json").write_text("mine")
    status, _, err = radio("teachers", "report", *tiny_run, "--output", "out")
    assert status == 2
    assert "teachers.json" in err
    assert (tmp_path / "out/teachers.json").read_text() == "mine"


# From the inside


def compare(world: World, teacher: Teacher, folder: Path, **options: Any) -> dict[str, Any]:
    datamodule = module(world, teacher=teacher, eval_candidates=6)
    return report(compared(datamodule, "validation", **options), folder)


def test_a_baseline_that_would_narrow_the_comparison_is_left_out_and_named(
    world: World, tmp_path: Path
) -> None:
    annotate(world, 1)
    found = compare(world, RetrievalScore(), tmp_path)
    assert list(found["teachers"]) == ["retrieval", "configured", "answers"]
    assert found["questions"] == 2
    assert found["remarks"] == [
        "the baseline annotated is left out: 1 of 2 questions have annotated passages; to compare "
        "on those alone: --teachers gold_passages"
    ]
    found = compare(world, RetrievalScore(), tmp_path, others=["gold_passages"])
    assert (found["questions"], found["of_questions"]) == (1, 2)
    assert found["teachers"]["gold_passages"]["left_out"] == {"no annotated passages": 1}
    assert list(found["teachers"])[-1] == "annotated"


def test_the_curve_is_that_of_a_configured_blend(world: World, tmp_path: Path) -> None:
    found = compare(world, Blend([AnswerMatch(), RetrievalScore()], 0.7), tmp_path)["curve"]
    assert (found["first"], found["second"]) == ("AnswerMatch", "RetrievalScore")
    assert found["configured"] == 0.7


def test_the_curve_is_else_from_the_retriever_to_the_configured_one(
    world: World, tmp_path: Path
) -> None:
    teacher = Gated(RetrievalScore(), AnswerMatch())
    found = compare(world, teacher, tmp_path)["curve"]
    assert (found["first"], found["second"]) == ("configured", "retrieval")
    found = compare(world, teacher, tmp_path, curve=["answers", "configured"])["curve"]
    assert (found["first"], found["second"]) == ("answers", "configured")
    assert compare(world, RetrievalScore(), tmp_path)["curve"] is None


def test_the_generators_of_the_configuration_read_every_order(world: World, tmp_path: Path) -> None:
    generators = [GeneratorInTheLoop(SpanReader()), GeneratorInTheLoop(SpanReader(2), name="short")]
    found = compare(world, AnswerMatch(), tmp_path, callbacks=generators, depths=[1])
    assert [m for m in found["metrics"] if "@1" in m and "RR" not in m and "P@1" not in m] == [
        "em@1",
        "f1@1",
        "short_em@1",
        "short_f1@1",
    ]
    assert [generator["name"] for generator in found["generators"]] == [None, "short"]
    asked = sum(generator["total"]["prompts"] for generator in found["generators"])
    again = compare(world, AnswerMatch(), tmp_path, callbacks=generators, depths=[1])
    assert sum(generator["total"]["cached"] for generator in again["generators"]) == asked > 0


def test_what_a_split_lacks_is_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="split: found 'test', expected one of the splits"):
        compared(module(world, test=None), "test")
    datamodule = module(world, teacher=RetrievalScore())
    questions = datamodule.split_questions("validation")
    datamodule._questions["validation"] = [
        type(question)(question.id, question.question) for question in questions
    ]
    with pytest.raises(InputError, match="neither golden answers nor annotated passages"):
        compared(datamodule, "validation")


def test_no_question_that_all_can_score(world: World, tmp_path: Path) -> None:
    (world.folder / "rationales.jsonl").write_text("")
    with pytest.raises(InputError, match=r"configured 0 of 2 \(2 no rationale\).*rationale_splits"):
        compare(world, NoEncoder(), tmp_path)
    assert not (tmp_path / "teachers.json").exists()


def test_nothing_is_stored_under_the_name_of_another_teacher(world: World, tmp_path: Path) -> None:
    compare(world, Gated(RetrievalScore(), AnswerMatch()), tmp_path)
    kept = entries(module(world).cache)["teacher"]
    # two questions, and three teachers
    assert kept == 6
    # a run with one of them finds its scores
    datamodule = module(world, teacher=AnswerMatch(), retriever=BM25(), eval_candidates=6)
    datamodule.preparation.find_candidates("validation")
    assert len(datamodule.preparation.scores("validation", {})) == 2


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (None, (1.0, "the loss has no teacher_temperature")),
        (Huber(), (1.0, "the loss has no teacher_temperature")),
        (RankNet(), (1.0, "the loss has no teacher_temperature")),
        (ListNet(teacher_temperature=None), (None, "teacher_temperature of ListNet is null")),
        (ListNet(teacher_temperature=0.2), (0.2, "teacher_temperature of ListNet")),
        (
            WeightedSum({"a": Huber(), "b": NoisyTeacher(ListNet(teacher_temperature=0.3))}),
            (0.3, "teacher_temperature of ListNet"),
        ),
    ],
)
def test_the_temperature_is_that_of_the_loss(loss: Any, expected: tuple[float, str]) -> None:
    assert target_temperature(loss) == expected


class AsksAModel(RetrievalScore):
    @property
    def needs_generator(self) -> str:
        return "other, SpanReader"


def test_a_teacher_that_its_own_generator_judges_is_named() -> None:
    teachers = named_teachers(AsksAModel(), [])
    said = judged_by_themselves(teachers, [GeneratorInTheLoop(SpanReader())])
    assert len(said) == 1
    assert said[0].startswith("configured asks SpanReader, which reads its passages here too")
