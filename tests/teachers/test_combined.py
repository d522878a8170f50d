"""Teachers made of others: the published formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question
from radio.teachers import (
    AnswerMatch,
    Blend,
    Gated,
    Lesson,
    RationaleSimilarity,
    RetrievalScore,
    Teacher,
    checked_scores,
)
from tests.teachers.cases import QUESTION, RATIONALE, TEXTS, Fixed, passages


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.0, [1, 3 / 4, 0]), (0.5, [1 / 2, 7 / 8, 1 / 4]), (0.8, [1 / 5, 19 / 20, 2 / 5])],
)
def test_blend_is_the_weighted_sum_of_normalised_scores(
    weight: float, expected: list[float]
) -> None:
    # normalised: 0, 1, 0.5 and, from retrieval scores 10, 9, 6, 1, 0.75, 0
    blend = Blend(Fixed([20, 60, 40]), RetrievalScore(), weight)
    assert blend.score(QUESTION, RATIONALE, passages(TEXTS[:3])) == pytest.approx(expected)


def test_a_part_of_a_blend_that_cannot_tell_leaves_the_order_to_the_other() -> None:
    scores = Blend(Fixed([4, 4, 4]), RetrievalScore()).score(
        QUESTION, RATIONALE, passages(TEXTS[:3])
    )
    assert scores == pytest.approx([0.75, 0.625, 0.25])


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_blend_weight_outside_0_to_1_is_refused(weight: float) -> None:
    with pytest.raises(
        InputError, match=f"Blend: weight: found {weight}, expected a number between 0 and 1"
    ):
        Blend(Fixed([]), Fixed([]), weight)


def test_a_blend_needs_a_rationale_if_one_of_its_parts_does(encoder: Encoder) -> None:
    assert Blend(RationaleSimilarity(encoder), RetrievalScore()).needs_rationale
    assert Blend(RetrievalScore(), RationaleSimilarity(encoder)).needs_rationale
    assert not Blend(RetrievalScore(), Fixed([])).needs_rationale


def test_scores_follow_the_passages_wherever_they_stand(encoder: Encoder, cache: Cache) -> None:
    teacher = Blend(RationaleSimilarity(encoder), RetrievalScore())
    ordered = passages()
    (scores,) = teacher.score_all([Lesson(QUESTION, RATIONALE, ordered)], cache)
    for permutation in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3]):
        lesson = Lesson(QUESTION, RATIONALE, [ordered[i] for i in permutation])
        (moved,) = teacher.score_all([lesson], cache)
        assert moved == pytest.approx([scores[i] for i in permutation], abs=1e-6)


def test_a_closed_gate_leaves_the_floor_of_a_score() -> None:
    question = Question("q", "What is bread baked from?", ("flour",))
    gated = Gated(Fixed([0.2, 1.0, 0.4, 0.6, 0.8]), AnswerMatch(), floor=0.25)
    assert gated.score(question, None, passages()) == pytest.approx([0.05, 0.25, 0.1, 0.15, 0.8])
    assert not gated.needs_rationale
    assert Gated(Fixed([0.3] * 5), floor=1.0).score(question, None, passages()) == [0.3] * 5
    with pytest.raises(InputError, match="Gated: floor: found -1"):
        Gated(floor=-1)


def test_a_gate_passes_on_what_is_to_be_embedded(encoder: Encoder, cache: Cache) -> None:
    inner, gated = (
        RationaleSimilarity(encoder),
        Gated(RationaleSimilarity(encoder), Fixed([1, 1, 0, 1, 1]), floor=0),
    )
    work = [Lesson(QUESTION, RATIONALE, passages())]
    (plain,) = inner.score_all(work, cache)
    assert list(gated.score_all(work, cache)) == [[*plain[:2], 0, *plain[3:]]]
    assert gated.needs_rationale


@pytest.mark.parametrize(
    "teacher",
    [Blend(AnswerMatch(), RetrievalScore(), 0.3), Gated(RetrievalScore(), floor=0.2)],
    ids=lambda teacher: type(teacher).__name__,
)
def test_many_questions_are_scored_like_each_by_itself(teacher: Teacher, cache: Cache) -> None:
    other = Question("q2", "What is bread baked from?", ("flour",))
    work = [Lesson(QUESTION, RATIONALE, passages()), Lesson(other, None, passages(TEXTS[2:]))]
    alone = [teacher.score(one.question, one.rationale, one.passages) for one in work]
    assert list(teacher.score_all(work, cache)) == alone


def test_a_part_that_scores_too_few_questions_is_named(cache: Cache) -> None:
    class Tired(Fixed):
        def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
            yield from super().score_all(work[1:], cache)

    work = [Lesson(QUESTION, RATIONALE, passages())] * 2
    for teacher in (
        Blend(Tired([0.5] * 5), RetrievalScore()),
        Gated(RetrievalScore(), Tired([0.5] * 5)),
    ):
        with pytest.raises(InputError, match=r"Tired\.score_all: found scores of 1 questions, exp"):
            list(teacher.score_all(work, cache))


def test_a_score_written_anew_counts_where_its_base_scores_many_at_a_time(cache: Cache) -> None:
    class Cautious(Blend):
        def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
            return [score / 2 for score in super().score(question, rationale, passages)]

    work = [Lesson(QUESTION, RATIONALE, passages(TEXTS[:3]))]
    whole = list(checked_scores(Blend(RetrievalScore(), RetrievalScore()), work, cache))
    half = list(checked_scores(Cautious(RetrievalScore(), RetrievalScore()), work, cache))
    assert half == [[score / 2 for score in whole[0]]]
