"""Extension points of data: what a user's teacher, retriever, writer, generator, checks or data
module returns is refused by class, method, found and expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_modules import RationaleDataModule
from radio.cache import Cache
from radio.callbacks import GeneratorInTheLoop
from radio.generators import Generator
from radio.rationales import QualityChecks, RationaleWriter
from radio.rationales.judges import Judge
from radio.retrievers import Retriever
from radio.schema import Candidate, Passage, Question, Rationale
from radio.teachers import Blend, Gated, RetrievalScore, Teacher
from tests.conftest import World
from tests.data.test_module import WordOverlap, module
from tests.rerankers.test_contracts import Change, Lengths, fit, refused

pytestmark = pytest.mark.usefixtures("one_thread")


class Given(Teacher):
    needs_rationale = False

    def __init__(self, change: Change) -> None:
        self._change = change

    def score(self, question: Question, rationale: Any, passages: Sequence[Any]) -> Any:
        return self._change([0.5] * len(passages))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda scores: None, "None"),
        (lambda scores: scores[1:], "9 values"),
        (lambda scores: "0.5", "str"),
        (lambda scores: ["0.5"] * len(scores), "str"),
        (lambda scores: dict.fromkeys(range(10), 0.5), "dict"),
        (lambda scores: [*scores[1:], float("nan")], "nan"),
        (lambda scores: [*scores[1:], 1.5], "1.5"),
        (lambda scores: np.array([scores]), "1 values"),
    ],
)
def test_what_a_teacher_may_not_return_is_named(world: World, change: Change, found: str) -> None:
    for teacher in (
        Given(change),
        Gated(Given(change), RetrievalScore()),
        Gated(RetrievalScore(), Given(change)),
    ):
        with refused("Given.score: found", found, "expected", "question 'q-0-0'"):
            module(world, teacher=teacher).prepare_data()


def test_a_teacher_in_a_blend_is_named_and_may_use_any_scale(world: World) -> None:
    with refused("Given.score: found nan"):
        unknown = Given(lambda s: [float("nan")] * len(s))
        module(world, teacher=Blend([unknown, RetrievalScore()])).prepare_data()
    below = Given(lambda s: [-7.0, *s[1:]])
    module(world, teacher=Blend([below, RetrievalScore()])).prepare_data()


@pytest.mark.parametrize(
    "change", [np.array, torch.tensor, tuple, lambda s: [np.float32(v) for v in s]]
)
def test_numbers_of_numpy_and_torch_are_taken_from_a_teacher(world: World, change: Change) -> None:
    data = module(world, teacher=Given(change))
    data.prepare_data()
    data.setup("fit")
    assert set((data.examples["train"][0].teacher or {}).values()) == {0.5}


class Found(Retriever):
    def __init__(self, change: Change, whole: bool = False) -> None:
        self._change, self._whole = change, whole

    def search(self, questions: Sequence[Question], k: int) -> Any:
        ranking = [Candidate(f"port0-{i}", i, 1.0 - i / 10) for i in range(4)]
        if self._whole:
            return self._change([ranking for _ in questions])
        return [self._change(ranking) for _ in questions]


def twice(ranking: list[Candidate]) -> list[Candidate]:
    return [ranking[0], replace(ranking[0], rank=1, score=0.1)]


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        (lambda ranking: None, "None", "a list of Candidate"),
        (lambda ranking: ["port0-0"], "str", "a list of Candidate"),
        (lambda ranking: [("port0-0", 1.0)], "tuple", "a list of Candidate"),
        (
            lambda ranking: [*ranking, replace(ranking[0], passage_id="port1-0", score=0.0)],
            "5 candidates",
            "at most 4",
        ),
        (twice, "candidate 'port0-0' twice", "each once"),
        (
            lambda ranking: [replace(ranking[0], passage_id="nowhere")],
            "candidate 'nowhere'",
            "is not in the corpus",
        ),
        (lambda ranking: [replace(ranking[0], score=float("nan"))], "score nan", "a finite number"),
        (lambda ranking: [replace(ranking[0], score="1")], "score '1'", "a finite number"),
        (lambda ranking: ranking[::-1], "0.7 of 'port0-3' before 0.8", "the highest score first"),
    ],
)
def test_what_a_retriever_may_not_find_is_named(
    world: World, change: Change, found: str, expected: str
) -> None:
    data = module(world, retriever=Found(change), train_candidates=4, eval_candidates=4)
    with refused("Found.search: question 'q-0-0': ", found, expected):
        data.prepare_data()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rankings: None, "None"),
        (lambda rankings: rankings[1:], "11 lists"),
        (lambda rankings: [*rankings, rankings[0]], "more than 12 lists"),
    ],
)
def test_a_retriever_gives_a_list_for_each_question(
    world: World, change: Change, found: str
) -> None:
    with refused("Found.search: found", found, "each of 12 questions"):
        module(
            world, retriever=Found(change, whole=True), train_candidates=4, eval_candidates=4
        ).prepare_data()


class Pen(RationaleWriter):
    def __init__(self, change: Change) -> None:
        self._change = change

    def write(self, requests: Sequence[Any], cache: Cache) -> Iterator[Any]:
        made = [
            Rationale(request.question.id, "In fog the captain lit the lamp.")
            for request in requests
        ]
        changed: Iterator[Any] = self._change(made)
        return changed


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda made: None, "None"),
        (lambda made: [None], "None"),
        (lambda made: [r.text for r in made], "str"),
        (lambda made: [replace(made[0], question_id="elsewhere")], "question id 'elsewhere'"),
        (lambda made: [made[0], made[0]], "a second result for question 'q-0-0'"),
        (lambda made: [replace(made[0], text=None)], "text None"),
    ],
)
def test_what_a_writer_may_not_yield_is_named(world: World, change: Change, found: str) -> None:
    with refused("Pen.write: found", found, "expected"):
        module(world, rationales=Pen(change)).prepare_data()


def test_a_writer_may_leave_questions_out(world: World) -> None:
    data = module(
        world,
        rationales=Pen(lambda made: made[:3]),
        missing_rationales="drop",
        rationale_filters=(),
    )
    data.prepare_data()
    data.setup("fit")
    assert len(data.examples["train"]) == 3


class Parrot(Generator):
    def __init__(self, change: Change) -> None:
        self._change = change

    def answer(self, prompts: Sequence[Any]) -> Any:
        return self._change(["captain" for _ in prompts])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda answers: None, "None"),
        (lambda answers: "captain", "str"),
        (lambda answers: answers[1:], " answers"),
        (lambda answers: [None for _ in answers], "None"),
        (lambda answers: [["captain"] for _ in answers], "list"),
    ],
)
def test_what_a_generator_may_not_answer_is_named(world: World, change: Change, found: str) -> None:
    with refused("Parrot.answer: found", found, "one for each prompt"):
        fit(world, Lengths(), GeneratorInTheLoop(Parrot(change)))


class Own(RationaleDataModule):
    """Questions and passages as they are given."""

    def __init__(self, questions: Any = None, passages: Any = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._given = questions, passages

    def questions(self, split: str) -> Any:
        return self._given[0]

    def passages(self) -> Any:
        return self._given[1]


FOG = Question("q1", "Who lit the lamp?", ("Ada",))


@pytest.mark.parametrize(
    ("questions", "found"),
    [
        (None, "None"),
        ("q1", "str"),
        ({"q1": FOG}, "dict"),
        ([FOG, {"id": "q2"}], "number 1: found dict"),
        ([replace(FOG, id=7)], "id: found int"),
        ([replace(FOG, id="")], "id: found ''"),
        ([replace(FOG, id="q 1")], "id: found 'q 1'"),
        ([replace(FOG, question=None)], "question: found None"),
        ([replace(FOG, question=" ")], "question: found ' '"),
        ([replace(FOG, golden_answers=(1912,))], "golden_answers: found (1912,)"),
        ([replace(FOG, id="q\ud83d")], "id: found half a character ('q\\ud83d')"),
        ([replace(FOG, question="Who \ud83d")], "question: found half a character ('Who \\ud83d')"),
        ([replace(FOG, golden_answers=("a", "\ude00"))], "golden_answers: found half a character"),
        ([replace(FOG, choices=("\ude00",))], "choices: found half a character"),
        ([replace(FOG, metadata=None)], "metadata: found None"),
    ],
)
def test_what_a_data_module_may_not_ask_is_named(
    questions: Any, found: str, tmp_path: Path
) -> None:
    with refused("Own.questions('train')", found, "expected"):
        Own(questions, cache_dir=str(tmp_path)).split_questions("train")


@pytest.mark.parametrize(
    ("passages", "found"),
    [
        (None, "None"),
        ("fog", "str"),
        ([Passage("p1", "fog"), "fog"], "number 1: found str"),
        ([Passage(1, "fog")], "id: found int"),  # type: ignore[arg-type]
        ([Passage("", "fog")], "id: found ''"),
        ([Passage("p\ud83d", "fog")], "number 0: id: found half a character ('p\\ud83d')"),
        ([Passage("p1", "fog \ud83d")], "contents: found half a character ('fog \\ud83d')"),
        ([Passage("p1", None)], "contents: found None"),  # type: ignore[arg-type]
    ],
)
def test_what_a_corpus_may_not_hold_is_named(passages: Any, found: str, tmp_path: Path) -> None:
    with refused("Own.passages()", found, "expected"):
        len(Own([], passages, cache_dir=str(tmp_path)).corpus)


def test_a_mapping_of_passages_is_a_corpus_and_a_duplicate_is_refused(tmp_path: Path) -> None:
    one = Passage("p1", "fog")
    assert dict(Own([], {"p1": one}, cache_dir=str(tmp_path)).corpus) == {"p1": one}
    with refused("Own: passage id 'p1' is a duplicate"):
        len(Own([], [one, one], cache_dir=str(tmp_path)).corpus)


@pytest.mark.parametrize("name", ["golden_answers", "choices"])
def test_answers_that_are_one_string_are_not_read_as_its_letters(name: str) -> None:
    with refused(
        f"Question 'q1': {name}: found 'Ada', expected a tuple of strings; write ('Ada',)"
    ):
        Question("q1", "Who?", **{name: "Ada"})  # type: ignore[arg-type]


class Opinion(Judge):
    def __init__(self, change: Change) -> None:
        self._change = change

    def contradicts(self, pairs: Sequence[Any]) -> Any:
        return self._change([0.5] * len(pairs))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda p: None, "None"),
        (lambda p: [], "0 values"),
        (lambda p: ["no"], "str"),
        (lambda p: [2.0], "2.0"),
    ],
)
def test_what_a_judge_may_not_say_is_named(change: Change, found: str, tmp_path: Path) -> None:
    checks = QualityChecks(judge=Opinion(change))
    with refused("Opinion.contradicts: found", found, "expected"):
        checks.run(
            [(FOG, Rationale("q1", "Ada lit it."), [])],
            Cache(tmp_path / "c.sqlite"),
            ["contradicts"],
        )


@pytest.mark.parametrize(
    ("result", "found"),
    [(None, "None"), ({}, "nothing for question 'q-"), ("empty", "str")],
    ids=str,
)
def test_what_checks_of_ones_own_may_not_return_is_named(
    world: World, result: Any, found: str
) -> None:
    class Strict(QualityChecks):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            return result

    with refused("Strict.run: found", found, "a mapping from the id of each question"):
        module(world, rationale_checks=Strict(), teacher=WordOverlap()).prepare_data()
