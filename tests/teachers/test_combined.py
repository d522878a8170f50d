"""Teachers made of others: the published formulas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata

from radio.cache import Cache
from radio.encoders import Encoder
from radio.fingerprints import fingerprint
from radio.normalising import Normalisation, entropy
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
    blend = Blend([Fixed([20, 60, 40]), RetrievalScore()], weight)
    assert blend.score(QUESTION, RATIONALE, passages(TEXTS[:3])) == pytest.approx(expected)


def test_a_part_of_a_blend_that_cannot_tell_leaves_the_order_to_the_other() -> None:
    blend = Blend([Fixed([4, 4, 4]), RetrievalScore()])
    scores = blend.score(QUESTION, RATIONALE, passages(TEXTS[:3]))
    assert scores == pytest.approx([0.75, 0.625, 0.25])


THREE = ([0.2, 0.9, 0.4, 0.4], [7, 5, 30, 1], [0, 0, 1, 1])


def blended(normalise: Normalisation, weights: Any = None, **settings: float) -> list[float]:
    parts: list[Teacher] = [Fixed(scores) for scores in THREE]
    return Blend(parts, weights, normalise, **settings).score(QUESTION, None, passages(TEXTS[:4]))


def scaled(values: Any) -> Any:
    return (values - values.min()) / (values.max() - values.min())


ORACLES: dict[Normalisation, Any] = {
    "min_max": scaled,
    "z_score": lambda s: (s - s.mean()) / s.std(),
    "rank": lambda s: (len(s) - rankdata(-s)) / (len(s) - 1),
    "reciprocal_rank": lambda s: 1 / (60 + rankdata(-s)),
    "softmax": lambda s: softmax(s / 0.1),
}


@pytest.mark.parametrize("normalise", ORACLES)
@pytest.mark.parametrize("weights", [None, [1, 2, 5]])
def test_a_blend_of_three_is_their_weighted_sum(normalise: Normalisation, weights: Any) -> None:
    shares = np.array(weights or [1, 1, 1]) / np.sum(weights or [1, 1, 1])
    parts = [ORACLES[normalise](np.array(scores, dtype=float)) for scores in THREE]
    expected = sum(share * part for share, part in zip(shares, parts, strict=True))
    if normalise in ("z_score", "reciprocal_rank"):
        expected = scaled(expected)
    found = blended(normalise, weights)
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0 <= min(found) <= max(found) <= 1


def test_a_blend_by_entropy_mixes_distributions_that_are_equally_peaked() -> None:
    first, second = [0.5, 0.501, 0.499, 0.5], [900, 1, 20, 300]
    for scores in (first, second):
        alone = Blend([Fixed(scores)], None, "entropy", entropy=0.6)
        found = alone.score(QUESTION, None, passages(TEXTS[:4]))
        assert entropy(found) == pytest.approx(0.6 * np.log(4), rel=1e-6)
    mixed = Blend([Fixed(first), Fixed(second)], 0.3, "entropy")
    assert sum(mixed.score(QUESTION, None, passages(TEXTS[:4]))) == pytest.approx(1)


def test_teachers_that_cancel_each_other_leave_no_order() -> None:
    third = [[0.0, 1.0, 2.0], [2.0, 0.0, 1.0], [1.0, 2.0, 0.0]]
    for normalise in get_args(Normalisation):
        blend = Blend([Fixed(scores) for scores in third], normalise=normalise)
        found = blend.score(QUESTION, None, passages(TEXTS[:3]))
        assert found == pytest.approx([found[0]] * 3), normalise


def test_a_setting_changes_what_it_is_of() -> None:
    for normalise, setting in {
        "softmax": {"temperature": 5.0},
        "entropy": {"entropy": 0.9},
        "reciprocal_rank": {"k": 1.0},
    }.items():
        name: Any = normalise
        assert blended(name, **setting) != pytest.approx(blended(name))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"weights": 1.1},
            "weights: found 1.1, expected the share of the first teacher, between 0",
        ),
        ({"weights": -0.1}, "weights: found -0.1, expected a number between 0 and 1000000000"),
        ({"weights": [0.5]}, "weights: found 1 of them for 2 teachers, expected one for each"),
        ({"weights": [0, 0]}, "weights: found 0 for every teacher"),
        ({"weights": [1, float("nan")]}, "weights: found nan, expected a number between"),
        ({"teachers": []}, "teachers: found none, expected at least one"),
        ({"teachers": [Fixed([])], "weights": 0.3}, "weights: found 0.3 for 1 teachers, expected"),
        ({"normalise": "minmax"}, "normalise: found 'minmax', expected one of min_max, z_score"),
        (
            {"temperature": 0.1},
            "temperature: found 0.1 with normalise 'min_max', which takes none; leave it out "
            "(null), or write normalise: softmax",
        ),
        ({"normalise": "softmax", "k": 60}, "k: found 60 with normalise 'softmax', which"),
        ({"normalise": "rank", "entropy": 0.5}, "entropy: found 0.5 with normalise 'rank'"),
    ],
)
def test_settings_of_a_blend_that_mean_nothing_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        Blend(**{"teachers": [Fixed([]), Fixed([])], **settings})
    assert str(error.value).startswith(f"Blend: {message}")


def test_a_blend_of_two_has_the_key_that_it_had_when_two_were_all(tmp_path: Path) -> None:
    parts: list[Teacher] = [AnswerMatch(), RetrievalScore()]
    before = fingerprint(
        [
            [["Blend", 1]],
            {
                "rationale": parts[0],
                "retrieval": parts[1],
                "weight": 0.3,
                "needs_rationale": False,
            },
        ]
    )
    for weights in (0.3, [0.3, 0.7], [3, 7]):
        assert Blend(parts, weights).fingerprint() == before
    assert Blend(parts, 0.3, "rank").fingerprint() != before
    assert Blend([*parts, RetrievalScore()], [3, 7, 0]).fingerprint() != before

    class Named(Blend):
        def __init__(self, name: str) -> None:
            super().__init__(parts)
            self.name = name

    assert Named("a").fingerprint() != Named("b").fingerprint()


def test_a_blend_needs_a_rationale_if_one_of_its_parts_does(encoder: Encoder) -> None:
    assert Blend([RationaleSimilarity(encoder), RetrievalScore()]).needs_rationale
    assert Blend([RetrievalScore(), RationaleSimilarity(encoder)]).needs_rationale
    assert not Blend([RetrievalScore(), Fixed([])]).needs_rationale


def test_scores_follow_the_passages_wherever_they_stand(encoder: Encoder, cache: Cache) -> None:
    teacher = Blend([RationaleSimilarity(encoder), RetrievalScore()])
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
    [Blend([AnswerMatch(), RetrievalScore()], 0.3), Gated(RetrievalScore(), floor=0.2)],
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
        Blend([Tired([0.5] * 5), RetrievalScore()]),
        Gated(RetrievalScore(), Tired([0.5] * 5)),
    ):
        with pytest.raises(InputError, match=r"Tired\.score_all: found scores of 1 questions, exp"):
            list(teacher.score_all(work, cache))


def test_a_score_written_anew_counts_where_its_base_scores_many_at_a_time(cache: Cache) -> None:
    class Cautious(Blend):
        def score(self, question: Any, rationale: Any, passages: Any) -> list[float]:
            return [score / 2 for score in super().score(question, rationale, passages)]

    work = [Lesson(QUESTION, RATIONALE, passages(TEXTS[:3]))]
    whole = list(checked_scores(Blend([RetrievalScore(), RetrievalScore()]), work, cache))
    half = list(checked_scores(Cautious([RetrievalScore(), RetrievalScore()]), work, cache))
    assert half == [[score / 2 for score in whole[0]]]
