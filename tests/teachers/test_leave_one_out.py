"""Leaving out one passage after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from radio.cache import Cache
from radio.generators.prompting import GeneratorTemplate
from radio.llm.base import Call
from radio.llm.transformers import TransformersModel
from radio.schema import InputError, RetrievedPassage
from radio.teachers import LeaveOneOut, Lesson, checked_scores, needs
from tests.llm.test_likelihood import oracle
from tests.teachers.readers import QUESTION, TEXTS, Words, passages


def scored(teacher: LeaveOneOut, cache: Cache, found: list[RetrievedPassage]) -> list[float]:
    (scores,) = checked_scores(teacher, [Lesson(QUESTION, None, found)], cache)
    return scores


@pytest.mark.parametrize("fixture", ["tiny_generator", "tiny_t5"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("golds", ["max", "mean", "first"])
def test_a_score_is_the_loss_without_the_passage(
    golds: Any, reduction: Any, fixture: str, request: Any, cache: Cache
) -> None:
    model = str(request.getfixturevalue(fixture))
    template = GeneratorTemplate("open_qa", shows_passages=True)
    losses = []
    for gone in range(3):
        shown = [passage for place, passage in enumerate(passages(TEXTS[:3])) if place != gone]
        user = template.render(QUESTION, shown)
        call = Call("k" * 64, "q1", template.system, lambda user=user: user)  # type: ignore[misc]
        logs = []
        for answer in QUESTION.golden_answers:
            with torch.inference_mode():
                found = oracle(model, call, answer)
            logs.append(found.total / (found.tokens if reduction == "mean" else 1))
        losses.append(-{"max": max(logs), "mean": np.mean(logs), "first": logs[0]}[golds])
    low, high = min(losses), max(losses)
    expected = [(loss - low) / (high - low) for loss in losses]
    reader = TransformersModel(model, dtype="float64", accelerator="cpu")
    teacher = LeaveOneOut(reader, top_k=3, reduction=reduction, golds=golds)
    # the fourth is not shown
    assert scored(teacher, cache, passages()) == pytest.approx([*expected, 0.0], abs=1e-9)


def test_what_is_left_keeps_the_retrievers_order_and_is_numbered_anew(cache: Cache) -> None:
    model = Words()
    shuffled = [passages()[place] for place in (2, 0, 3, 1)]
    scored(LeaveOneOut(model, top_k=3), cache, shuffled)
    asked = dict.fromkeys(user for user, _ in model.asked)
    assert len(asked) == 3
    titles = [
        [line.removeprefix("Title: ") for line in user.splitlines() if line.startswith("Title")]
        for user in asked
    ]
    assert titles == [["Bells", "Towers"], ["Lamps", "Towers"], ["Lamps", "Bells"]]
    assert all('number="1"' in user and 'number="2"' in user for user in asked)
    assert not any('number="3"' in user for user in asked)


def test_equal_ranks_are_told_apart_by_id(cache: Cache) -> None:
    alike = [replace(passage, rank=0) for passage in passages()]
    first = scored(LeaveOneOut(Words(), top_k=3), cache, alike)
    model = Words()
    again = scored(LeaveOneOut(model, top_k=3), cache, alike[::-1])
    assert again == first[::-1]
    assert model.asked == []


def test_candidates_beyond_the_first_score_nothing(cache: Cache) -> None:
    scores = scored(LeaveOneOut(Words(), top_k=2), cache, passages())
    assert sorted(scores[:2]) == [0.0, 1.0]
    assert scores[2:] == [0.0, 0.0]


def test_a_single_candidate_is_not_compared(cache: Cache) -> None:
    model = Words()
    assert scored(LeaveOneOut(model), cache, passages(TEXTS[:1])) == [0.5]
    assert model.asked == []


def test_it_needs_the_candidates_as_a_set() -> None:
    teacher = LeaveOneOut(Words())
    assert needs(teacher) == ["golden answers", "generator (words)", "candidates as a set"]


def test_one_passage_is_no_comparison() -> None:
    with pytest.raises(InputError, match="LeaveOneOut: top_k: found 1, expected a whole number, 2"):
        LeaveOneOut(Words(), top_k=1)
