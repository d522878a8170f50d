"""Teachers by likelihood: the published formulas on what one token at a time gives in double
precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from radio.cache import Cache
from radio.generators.prompting import GeneratorTemplate
from radio.llm.base import Call, Likelihood
from radio.llm.transformers import TransformersModel
from radio.losses import KLDivergence
from radio.schema import InputError, Question
from radio.teachers import (
    AnswerLikelihood,
    Lesson,
    LikelihoodGain,
    PerplexityDistillation,
    checked_scores,
)
from radio.teachers.reading import ReadingTeacher
from tests.llm.test_likelihood import contrasted_oracle, oracle
from tests.teachers.readers import QUESTION, TEXTS, Words, passages

MODELS = ["tiny_generator", "tiny_t5"]


@pytest.fixture(scope="module", params=MODELS)
def model(request: Any) -> str:
    return str(request.getfixturevalue(request.param))


def call(passage: str | None) -> Call:
    """The prompt of a generator for one passage, or for none."""
    name = "closed_book" if passage is None else "open_qa"
    template = GeneratorTemplate(name, shows_passages=passage is not None)
    shown = [] if passage is None else passages([passage])
    user = template.render(QUESTION, shown)
    return Call("k" * 64, "q1", template.system, lambda: user)


Table = tuple[np.ndarray, np.ndarray]
"""Sums of logarithms and numbers of tokens, a row for each prompt, a column for each answer."""


def table(found: list[list[Likelihood]]) -> Table:
    totals = np.array([[one.total for one in row] for row in found])
    return totals, np.array([[one.tokens for one in row] for row in found])


@pytest.fixture(scope="module")
@torch.inference_mode()
def judged(model: str) -> Table:
    """Of each passage alone, and at last of none."""
    calls = [call(text) for text in [*TEXTS, None]]
    return table([[oracle(model, one, y) for y in QUESTION.golden_answers] for one in calls])


@pytest.fixture(scope="module")
@torch.inference_mode()
def contrasted(model: str) -> Table:
    rows = []
    for text in TEXTS:
        row = []
        for answer in QUESTION.golden_answers:
            row.append(contrasted_oracle(model, call(text), call(None), answer, 0.5))
        rows.append(row)
    return table(rows)


def local(model: str, **options: Any) -> TransformersModel:
    return TransformersModel(model, dtype="float64", accelerator="cpu", **options)


def scored(teacher: ReadingTeacher, cache: Cache) -> list[float]:
    (scores,) = checked_scores(teacher, [Lesson(QUESTION, None, passages())], cache)
    return scores


POOL = {"max": lambda rows: rows.max(1), "mean": lambda rows: rows.mean(1)}
POOL["first"] = lambda rows: rows[:, 0]


@pytest.mark.parametrize("golds", ["max", "mean", "first"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_likelihood_of_an_answer_is_its_probability_after_the_passage_alone(
    reduction: Any, golds: Any, model: str, judged: Table, cache: Cache
) -> None:
    totals, tokens = judged
    assert len({tuple(row) for row in tokens}) == 1
    assert len(set(tokens[0])) == 2, "answers of different lengths"
    logs = totals[:-1] / (tokens[:-1] if reduction == "mean" else 1)
    expected = POOL[golds](np.exp(logs))
    found = scored(AnswerLikelihood(local(model), reduction=reduction, golds=golds), cache)
    assert found == pytest.approx(expected, rel=1e-9)
    assert len(set(found)) == len(TEXTS)


@pytest.mark.parametrize("golds", ["max", "mean", "first"])
def test_perplexity_distillation_is_a_softmax_of_the_mean_log_probability(
    golds: Any, model: str, judged: Table, cache: Cache
) -> None:
    totals, tokens = judged
    # Atlas: minus the cross-entropy summed over the tokens, by their number; less the end token
    gold = POOL[golds]((totals / tokens)[:-1]) / 0.3
    expected = np.exp(gold) / np.exp(gold).sum()
    teacher = PerplexityDistillation(local(model), temperature=0.3, golds=golds)
    found = scored(teacher, cache)
    assert found == pytest.approx(expected, rel=1e-9)
    assert sum(found) == pytest.approx(1.0)
    # the likeliest first
    assert np.argsort(found).tolist() == np.argsort(gold).tolist()


@pytest.mark.parametrize("golds", ["max", "mean", "first"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_information_gain_is_the_difference_to_the_prompt_without_passages(
    reduction: Any, golds: Any, model: str, judged: Table, cache: Cache
) -> None:
    totals, tokens = judged
    probabilities = POOL[golds](np.exp(totals / (tokens if reduction == "mean" else 1)))
    expected = (1 + probabilities[:-1] - probabilities[-1]) / 2
    teacher = LikelihoodGain(local(model), reduction=reduction, golds=golds)
    found = scored(teacher, cache)
    assert found == pytest.approx(expected, rel=1e-9)
    helpful = probabilities[:-1] > probabilities[-1]
    assert (np.array(found) > 0.5).tolist() == helpful.tolist()


@pytest.mark.parametrize("golds", ["max", "mean", "first"])
def test_gain_by_contrast_is_that_of_the_published_perplexity(
    golds: Any, model: str, contrasted: Table, cache: Cache
) -> None:
    totals, tokens = contrasted
    perplexity = np.exp(-POOL[golds](totals / tokens))
    if golds == "max":
        assert perplexity == pytest.approx(np.exp(-totals / tokens).min(1))
    target = -np.log(perplexity + 1)
    expected = (target - target.min()) / (target.max() - target.min())
    teacher = LikelihoodGain(local(model), contrast="gainrag", golds=golds, alpha=0.5)
    assert scored(teacher, cache) == pytest.approx(expected, abs=1e-9)


def test_a_perplexity_beyond_all_bounds_is_still_ordered(cache: Cache) -> None:
    class Certain(Words):
        def likelihood(self, user: str, text: str) -> Likelihood:
            return Likelihood(-2000.0 * (1 + TEXTS.index(_shown(user))) if "<p" in user else 0.0, 1)

    teacher = LikelihoodGain(Certain(), contrast="gainrag")
    assert scored(teacher, cache) == pytest.approx([1, 2 / 3, 1 / 3, 0])


def _shown(user: str) -> str:
    return next(text for text in TEXTS if text.split("\n")[1] in user)


# What the loss makes of it


@pytest.mark.parametrize("beta", [0.1, 1.0])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_replug_is_the_kl_divergence_with_beta_as_the_teachers_temperature(
    direction: Any, beta: float, model: str, judged: Table, cache: Cache
) -> None:
    totals, _ = judged
    p = np.exp(totals[:-1]).max(1)
    q = np.exp(p / beta) / np.exp(p / beta).sum()
    student = np.array([0.3, -1.0, 0.2, 0.9])
    retrieval = np.exp(student) / np.exp(student).sum()
    # the paper: KL(P_R || Q); the published code: KL(Q || P_R), by the number of elements
    paper = (retrieval * (np.log(retrieval) - np.log(q))).sum()
    code = (q * (np.log(q) - np.log(retrieval))).sum()
    targets = torch.tensor([scored(AnswerLikelihood(local(model)), cache)])
    loss = KLDivergence(teacher_temperature=beta, direction=direction)
    found = loss(torch.tensor(student).unsqueeze(0), targets, torch.ones(1, 4, dtype=torch.bool))
    assert float(found) == pytest.approx(paper if direction == "reverse" else code, rel=1e-5)


def test_atlas_is_the_kl_divergence_that_takes_the_scores_as_they_are(
    model: str, judged: Table, cache: Cache
) -> None:
    totals, tokens = judged
    gold = (totals / tokens)[:-1].max(1) / 0.3
    target = np.exp(gold) / np.exp(gold).sum()
    student = np.array([0.3, -1.0, 0.2, 0.9])
    logs = student - np.log(np.exp(student).sum())
    # KL(target || student), of one question
    expected = (target * (np.log(target) - logs)).sum()
    teacher = PerplexityDistillation(local(model), temperature=0.3)
    targets = torch.tensor([scored(teacher, cache)])
    loss = KLDivergence(teacher_temperature=None)
    found = loss(torch.tensor(student).unsqueeze(0), targets, torch.ones(1, 4, dtype=torch.bool))
    assert float(found) == pytest.approx(expected, rel=1e-5)


# Small cases


def test_a_single_candidate(cache: Cache) -> None:
    lesson = Lesson(QUESTION, None, passages(TEXTS[:1]))
    model = Words()
    (likelihood,) = next(checked_scores(AnswerLikelihood(model), [lesson], cache))
    assert 0 < likelihood < 1
    assert next(checked_scores(PerplexityDistillation(model), [lesson], cache)) == [1.0]
    contrast = LikelihoodGain(model, contrast="gainrag")
    assert next(checked_scores(contrast, [lesson], cache)) == [0.5]


def test_a_low_temperature_neither_overflows_nor_gives_nan(cache: Cache) -> None:
    found = scored(PerplexityDistillation(Words(), temperature=1e-6), cache)
    assert sorted(found) == [0.0, 0.0, 0.0, 1.0]


def test_a_sum_prefers_short_answers_and_a_mean_does_not() -> None:
    long = Likelihood(-3.0, 6)
    short = Likelihood(-2.0, 1)
    lesson = Lesson(QUESTION, None, passages(TEXTS[:1]))
    summed = AnswerLikelihood(Words()).scores(lesson, [[long, short]])
    mean = AnswerLikelihood(Words(), reduction="mean").scores(lesson, [[long, short]])
    assert summed == pytest.approx([np.exp(-2.0)])
    assert mean == pytest.approx([np.exp(-0.5)])


def test_a_perplexity_has_no_sum() -> None:
    with pytest.raises(InputError, match="LikelihoodGain: reduction: found 'sum', expected 'mean'"):
        LikelihoodGain(Words(), contrast="gainrag", reduction="sum")


@pytest.mark.parametrize(
    ("task", "question", "replies"),
    [
        ("multiple_choice", Question("q", "?", ("fog",), ("tide", "fog")), {"B"}),
        (
            "fact_verification",
            Question("q", "Fog burns.", ("NOT_ENOUGH_INFO",)),
            {"NOT ENOUGH INFO"},
        ),
    ],
)
def test_the_task_chooses_prompt_and_replies(
    task: str, question: Question, replies: set[str], cache: Cache
) -> None:
    model = Words()
    lesson = Lesson(question, None, passages(TEXTS[:2]))
    list(checked_scores(LikelihoodGain(model, task), [lesson], cache))
    assert {answer for _, answer in model.asked} == replies
    end = "Letter of the right option:" if task == "multiple_choice" else "Label:"
    assert all(user.endswith(end) for user, _ in model.asked)
