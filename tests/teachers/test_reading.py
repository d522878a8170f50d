"""Likelihoods of a model: asked for once, kept, shared by teachers, and nothing left out in
silence."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from radio.cache import Cache
from radio.llm.anthropic import AnthropicModel
from radio.llm.base import Call, Likelihood
from radio.llm.openai import OpenAIModel
from radio.schema import InputError, Question
from radio.teachers import (
    AnswerLikelihood,
    LeaveOneOut,
    Lesson,
    LikelihoodGain,
    PerplexityDistillation,
    checked_scores,
    needs,
)
from radio.teachers.reading import ReadingTeacher, from_row, pooled
from tests.conftest import entries
from tests.teachers.readers import QUESTION, TEXTS, Words, passages

Make = Callable[[Words], ReadingTeacher]
TEACHERS: dict[str, Make] = {
    "AnswerLikelihood": AnswerLikelihood,
    "PerplexityDistillation": PerplexityDistillation,
    "infogain": LikelihoodGain,
    "gainrag": lambda model: LikelihoodGain(model, contrast="gainrag"),
    "LeaveOneOut": LeaveOneOut,
}
each_teacher = pytest.mark.parametrize("make", TEACHERS.values(), ids=TEACHERS)


def scored(teacher: ReadingTeacher, cache: Cache, *lessons: Lesson) -> list[list[float]]:
    return list(checked_scores(teacher, lessons, cache))


# What all of them promise


@each_teacher
def test_permuted_candidates_have_permuted_scores(make: Make, cache: Cache, tmp_path: Path) -> None:
    (scores,) = scored(make(Words()), cache, Lesson(QUESTION, None, passages()))
    assert len(set(scores)) == len(TEXTS)
    for seed in range(4):
        order = random.Random(seed).sample(range(len(TEXTS)), len(TEXTS))
        lesson = Lesson(QUESTION, None, [passages()[place] for place in order])
        # in a cache of its own: nothing comes from the first order
        (moved,) = scored(make(Words()), Cache(tmp_path / f"{seed}.sqlite"), lesson)
        assert moved == [scores[place] for place in order]


@each_teacher
def test_one_question_by_itself_is_scored_as_among_others(make: Make, cache: Cache) -> None:
    other = Question("q2", "Who keeps the tower?", ("Ada",))
    lessons = [
        Lesson(QUESTION, None, passages()),
        Lesson(QUESTION, None, []),
        Lesson(other, None, passages(TEXTS[1:])),
    ]
    together = list(make(Words()).score_all(lessons, cache))
    assert together[1] == []
    for lesson, scores in zip(lessons, together, strict=True):
        if lesson.passages:
            assert make(Words()).score(lesson.question, None, lesson.passages) == scores
    assert list(make(Words()).score_all([], cache)) == []


@pytest.mark.parametrize("name", [name for name in TEACHERS if name != "LeaveOneOut"])
def test_equal_passages_have_equal_scores(name: str, cache: Cache) -> None:
    twice = passages([TEXTS[0], TEXTS[1], TEXTS[0]])
    (scores,) = scored(TEACHERS[name](Words()), cache, Lesson(QUESTION, None, twice))
    assert scores[0] == scores[2] != scores[1]


@each_teacher
def test_a_second_run_asks_for_nothing(make: Make, cache: Cache) -> None:
    lesson = Lesson(QUESTION, None, passages())
    first, second = Words(), Words()
    scores = scored(make(first), cache, lesson)
    count = entries(cache)["likelihood"]
    assert count >= 2 * len(TEXTS)
    assert scored(make(second), cache, lesson) == scores
    assert second.asked == []
    assert entries(cache) == {"likelihood": count}


def test_teachers_of_one_model_share_what_it_was_asked_for(cache: Cache) -> None:
    model = Words()
    lesson = Lesson(QUESTION, None, passages())
    scored(AnswerLikelihood(model), cache, lesson)
    assert len(model.asked) == 2 * len(TEXTS)
    scored(AnswerLikelihood(model, reduction="mean", golds="first"), cache, lesson)
    scored(PerplexityDistillation(model), cache, lesson)
    assert len(model.asked) == 2 * len(TEXTS)
    # the prompt without passages alone is new
    scored(LikelihoodGain(model), cache, lesson)
    assert len(model.asked) == 2 * len(TEXTS) + 2


def test_a_likelihood_is_kept_under_what_was_read_and_not_under_the_questions_id(
    cache: Cache,
) -> None:
    model = Words()
    scored(AnswerLikelihood(model), cache, Lesson(QUESTION, None, passages()))
    renamed = replace(QUESTION, id="another", metadata={"hops": 3})
    scored(AnswerLikelihood(model), cache, Lesson(renamed, None, passages()))
    assert len(model.asked) == 2 * len(TEXTS)
    changes = [
        (replace(QUESTION, question="Which bell rings?"), passages(), "open_qa"),
        (replace(QUESTION, golden_answers=("fog", "tide")), passages(), "open_qa"),
        (QUESTION, passages([text + "!" for text in TEXTS]), "open_qa"),
        (QUESTION, passages(), "multi_hop"),
    ]
    for question, found, task in changes:
        before = len(model.asked)
        scored(AnswerLikelihood(model, task), cache, Lesson(question, None, found))
        assert len(model.asked) == before + 2 * len(TEXTS)


def test_a_prompt_is_that_of_the_generator_with_one_passage_alone(cache: Cache) -> None:
    model = Words()
    scored(LikelihoodGain(model), cache, Lesson(QUESTION, None, passages(TEXTS[:1])))
    shown, closed = model.asked[0][0], model.asked[-1][0]
    assert '<passage number="1">\nTitle: Lamps\nThe harbour lamp burns in fog.' in shown
    assert shown.endswith(f"Question: {QUESTION.question}\nAnswer:")
    assert closed == f"Question: {QUESTION.question}\nAnswer:"
    assert [answer for _, answer in model.asked] == ["harbour lamp", "tower"] * 2


# What does not fit, and what is missing


def test_a_passage_that_is_cut_is_counted_and_said(cache: Cache) -> None:
    whole = Words()
    scored(AnswerLikelihood(whole), cache, Lesson(QUESTION, None, passages()))
    longest = max(len(user.split()) for user, _ in whole.asked)
    teacher = AnswerLikelihood(Words(), "open_qa")
    system = len(teacher._template.system.split())
    small = Words(window=system + longest - 3)
    message = (
        r"AnswerLikelihood: words: 1 of 4 prompts were cut to its window \(0 whole passages, "
        r"3 tokens of others\); raise max_length"
    )
    with pytest.warns(UserWarning, match=message):
        (scores,) = scored(AnswerLikelihood(small), cache, Lesson(QUESTION, None, passages()))
    assert len(scores) == 4
    # the three others were read as they are
    assert len(small.asked) == 2
    assert set(small.asked).isdisjoint(whole.asked)


def test_a_question_that_does_not_fit_by_itself_is_named(cache: Cache) -> None:
    with pytest.raises(InputError, match="question 'q1': question and instruction have"):
        scored(AnswerLikelihood(Words(window=9)), cache, Lesson(QUESTION, None, passages()))


@each_teacher
def test_a_question_without_golden_answers_is_named(make: Make, cache: Cache) -> None:
    bare = replace(QUESTION, golden_answers=())
    with pytest.raises(InputError, match="question 'q1': found no golden_answers"):
        scored(make(Words()), cache, Lesson(bare, None, passages()))
    with pytest.raises(InputError, match="question 'q1': golden_answers: found"):
        list(make(Words()).score_all([Lesson(bare, None, passages())], cache))


def test_an_answer_without_tokens_is_left_out_and_counted(cache: Cache) -> None:
    lesson = Lesson(QUESTION, None, passages())
    with pytest.warns(UserWarning, match="words: 1 golden answers have no token and are left out"):
        found = scored(AnswerLikelihood(Words(silent=["harbour lamp"])), cache, lesson)
    alone = replace(QUESTION, golden_answers=("tower",))
    assert found == scored(AnswerLikelihood(Words()), cache, Lesson(alone, None, passages()))


def test_answers_that_all_have_no_tokens_are_an_error(cache: Cache) -> None:
    teacher = AnswerLikelihood(Words(silent=QUESTION.golden_answers))
    with pytest.raises(InputError, match=r"'q1': golden_answers: found .* makes no token"):
        scored(teacher, cache, Lesson(QUESTION, None, passages()))


def test_nan_is_named_and_not_kept(cache: Cache) -> None:
    class Broken(Words):
        def log_likelihood(
            self, calls: Sequence[Call], continuations: Sequence[str]
        ) -> list[Likelihood]:
            return [Likelihood(math.nan, 2) for _ in calls]

    with pytest.raises(InputError, match="words: question 'q1': found NaN as the likelihood of 'h"):
        scored(AnswerLikelihood(Broken()), cache, Lesson(QUESTION, None, passages()))
    assert entries(cache) == {}


def test_a_likelihood_that_a_model_leaves_out_is_named(cache: Cache) -> None:
    class Lazy(Words):
        def log_likelihood(
            self, calls: Sequence[Call], continuations: Sequence[str]
        ) -> list[Likelihood]:
            return super().log_likelihood(calls[:-1], continuations[:-1])

    with pytest.raises(InputError, match="words gave no likelihood of 'tower' for question 'q1'"):
        scored(AnswerLikelihood(Lazy()), cache, Lesson(QUESTION, None, passages()))


@pytest.mark.parametrize("row", [{"total": "x", "tokens": 2}, {"total": -1.0, "tokens": None}])
def test_a_damaged_entry_is_no_likelihood(row: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="expected a number as the likelihood"):
        from_row(row)
    assert from_row({"total": -1, "tokens": 2}) == Likelihood(-1.0, 2)


# Settings


@each_teacher
@pytest.mark.parametrize("model", [AnthropicModel("claude-haiku-4-5"), OpenAIModel("gpt-4o-mini")])
def test_a_model_without_probabilities_is_refused_when_the_teacher_is_made(
    make: Make, model: Words
) -> None:
    with pytest.raises(InputError, match=r"model: found \w+, which gives no prob.*Transformers"):
        make(model)


@each_teacher
def test_what_they_need_is_told(make: Make) -> None:
    teacher = make(Words())
    assert needs(teacher)[:2] == ["golden answers", "generator (words)"]
    assert not teacher.needs_rationale


@each_teacher
def test_a_model_is_released_when_asked(make: Make, cache: Cache) -> None:
    model = Words()
    teacher = make(model)
    scored(teacher, cache, Lesson(QUESTION, None, passages()))
    assert model.released == 0, "it stays loaded between calls"
    teacher.release()
    assert model.released == 1


def test_unknown_words_are_refused() -> None:
    model = Words()
    with pytest.raises(InputError, match="AnswerLikelihood: golds: found 'best', expected one of"):
        AnswerLikelihood(model, golds="best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="LeaveOneOut: reduction: found 'max', expected one of"):
        LeaveOneOut(model, reduction="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="LikelihoodGain: contrast: found 'dig', expected one of"):
        LikelihoodGain(model, contrast="dig")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="task: found 'qa', expected one of open_qa"):
        AnswerLikelihood(model, task="qa")
    with pytest.raises(InputError, match=r"prompt: 'closed_book' has no \{passages\}"):
        AnswerLikelihood(model, prompt="closed_book")
    with pytest.raises(InputError, match=r"prompt: 'open_qa' has \{passages\}"):
        LikelihoodGain(model, closed_prompt="open_qa")


def test_what_a_model_writes_with_is_no_part_of_a_likelihood() -> None:
    class Warm(Words):
        def depends_on(self) -> dict[str, object]:
            return {**super().depends_on(), "sampling": {"temperature": 1}, "stop": ["."]}

    assert AnswerLikelihood(Warm()).fingerprint() == AnswerLikelihood(Words()).fingerprint()


def test_several_golden_answers_are_pooled() -> None:
    assert pooled([0.2, 0.8, 0.5], "max") == 0.8
    assert pooled([0.2, 0.8, 0.5], "mean") == pytest.approx(0.5)
    assert pooled([0.2, 0.8, 0.5], "first") == 0.2
