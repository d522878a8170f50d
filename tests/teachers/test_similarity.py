"""Teachers by similarity: scores in [0, 1] that do not depend on the order of the passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import InputError, Question, Rationale, RetrievedPassage
from radio.teachers import Lesson, RationaleSimilarity, RetrievalScore
from tests.conftest import entries
from tests.teachers.cases import QUESTION, RATIONALE, SUPPORTING, TEXTS, passages


def test_retrieval_score_is_the_retrievers_own() -> None:
    teacher = RetrievalScore()
    assert not teacher.needs_rationale
    assert teacher.score(QUESTION, None, passages(TEXTS[:3])) == pytest.approx([1, 3 / 4, 0])


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
    (scores,) = teacher.score_all([Lesson(QUESTION, None, passages())], cache)
    assert len(scores) == len(TEXTS)
    # a format does not hide the field
    assert RationaleSimilarity(encoder, "{answers}. {rationale:.300}").needs_rationale


@pytest.mark.parametrize("template", ["{question}. {answers}. {rationale}", "{rationale}"])
def test_the_passage_that_supports_the_rationale_comes_first(
    template: str, encoder: Encoder, cache: Cache
) -> None:
    teacher = RationaleSimilarity(encoder, template)
    (scores,) = teacher.score_all([Lesson(QUESTION, RATIONALE, passages())], cache)
    assert scores[TEXTS.index(SUPPORTING)] == max(scores) == 1
    assert scores[-1] == min(scores) == 0


def test_each_distinct_text_is_embedded_once(encoder: Encoder, cache: Cache) -> None:
    other = Question("q2", "What is bread made of?", ("flour",))
    twin = [*passages(), RetrievedPassage("twin", SUPPORTING, rank=9, score=0.0)]
    work = [
        Lesson(QUESTION, RATIONALE, twin),
        Lesson(other, Rationale("q2", "Flour is the base of it."), passages()),
    ]
    teacher = RationaleSimilarity(encoder)
    scores = list(teacher.score_all(work, cache))
    assert entries(cache) == {"embedding": len(TEXTS) + len(work)}
    assert list(RationaleSimilarity(encoder).score_all(work, cache)) == scores
    assert entries(cache) == {"embedding": len(TEXTS) + len(work)}


def test_equal_passages_get_equal_scores(encoder: Encoder, cache: Cache) -> None:
    teacher = RationaleSimilarity(encoder)
    same = passages([SUPPORTING] * 3)
    assert list(teacher.score_all([Lesson(QUESTION, RATIONALE, same)], cache)) == [[0.5, 0.5, 0.5]]


def test_scoring_before_the_cache_is_known_says_what_to_call(encoder: Encoder) -> None:
    with pytest.raises(RuntimeError, match=r"call score_all\(work, cache\), not score\(\)"):
        RationaleSimilarity(encoder).score(QUESTION, RATIONALE, passages())


def test_questions_that_are_embedded_together_are_scored_like_each_by_itself(
    encoder: Encoder, cache: Cache, tmp_path: Path
) -> None:
    other = Question("q2", "What is bread baked from?", ("flour",))
    work = [
        Lesson(QUESTION, RATIONALE, passages()),
        Lesson(QUESTION, RATIONALE, []),
        Lesson(other, Rationale("q2", "Flour is the base of it."), passages(TEXTS[2:])),
    ]
    teacher = RationaleSimilarity(encoder)
    together = list(teacher.score_all(work, cache))
    assert together[1] == []
    for number, lesson in enumerate(work):
        alone = Cache(tmp_path / f"{number}.sqlite")
        (scores,) = teacher.score_all([lesson], alone)
        assert scores == pytest.approx(together[number], abs=1e-5)
    assert list(teacher.score_all([], cache)) == []
