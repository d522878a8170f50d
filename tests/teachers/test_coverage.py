"""Coverage: what each passage adds to the facts that the passages before it cover."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.cache import Cache
from radio.encoders import Encoder
from radio.schema import Question, Rationale, RetrievedPassage
from radio.teachers import Coverage, Lesson, RationaleSimilarity
from radio.teachers.coverage import greedy_gains
from tests.teachers.cases import passages

QUESTION = Question("q1", "Where was the keeper of the lamp born?", ("Quillport",))
FACTS = [
    "The keeper of the lamp was Ada Quill.",
    "Ada Quill was born in Quillport.",
    "Quillport lies on an island in the north.",
]
TEXTS = [
    "Lamp\nThe lamp had a keeper, and its keeper was Ada Quill.",
    "Lamp\nAda Quill was the keeper of the lamp for years.",
    "Quill\nAda Quill was born in Quillport, a small town.",
    "Quillport\nThe town of Quillport lies on an island in the north.",
    "Bread\nBread is baked from flour, water and salt.",
]
RATIONALE = Rationale("q1", " ".join(FACTS))


def oracle(similarities: NDArray[np.float64], order: list[int]) -> list[float]:
    """The formula of the docstring, with sets."""
    above = similarities - similarities.min(axis=1)[:, None]
    chosen: list[int] = []
    gains: dict[int, float] = {}
    while len(chosen) < len(order):
        best, highest = -1, -1.0
        for passage in order:
            if passage in chosen:
                continue
            with_it = sum(max(above[f, d] for d in [*chosen, passage]) for f in range(len(above)))
            without = sum(max([above[f, d] for d in chosen], default=0) for f in range(len(above)))
            gain = with_it - without
            if gain > highest + 5e-7:
                best, highest = passage, gain
        chosen.append(best)
        gains[best] = highest
    top = max(gains.values())
    return [gains[d] / top for d in range(len(order))]


@pytest.mark.parametrize("match", ["passage", "sentences"])
def test_the_gains_are_those_of_the_formula(match: Any, encoder: Encoder, cache: Cache) -> None:
    texts = [f"{text} It is often told." for text in TEXTS]
    facts = encoder.encode(FACTS, cache, query=True).astype(np.float64)
    similarities = np.empty((len(FACTS), len(texts)))
    for number, text in enumerate(texts):
        title, _, body = text.partition("\n")
        pieces = [f"{title}\n{one.strip()}." for one in body.split(".") if one.strip()]
        found = encoder.encode([text] if match == "passage" else pieces, cache)
        similarities[:, number] = (facts @ found.astype(np.float64).T).max(axis=1)
    (scores,) = Coverage(encoder, match).score_all(
        [Lesson(QUESTION, RATIONALE, passages(texts))], cache
    )
    assert scores == pytest.approx(oracle(similarities, list(range(len(texts)))), abs=1e-4)


def test_random_tables_against_the_oracle() -> None:
    draw = np.random.default_rng(0)
    for facts, count in [(1, 1), (1, 5), (4, 1), (3, 7), (6, 20)]:
        worth = draw.random((facts, count))
        worth -= worth.min(axis=1, keepdims=True)
        gains = greedy_gains(worth)
        if gains.max() > 0:
            assert gains / gains.max() == pytest.approx(oracle(worth, list(range(count))), abs=1e-5)
        # what is added never helps more than what was added before it, and all is covered
        assert gains.sum() == pytest.approx(worth.max(axis=1).sum(), abs=1e-4)


def test_each_fact_brings_its_passage_to_the_top(encoder: Encoder, cache: Cache) -> None:
    lesson = Lesson(QUESTION, RATIONALE, passages(TEXTS))
    (scores,) = Coverage(encoder).score_all([lesson], cache)
    assert scores[4] == 0
    best = sorted(range(5), key=lambda i: -scores[i])[:3]
    # similarity has both passages about the keeper among the first three
    assert len({0, 1} & set(best)) == 1
    assert {2, 3} < set(best)


def test_of_two_copies_one_scores_high(encoder: Encoder, cache: Cache) -> None:
    shown = [*passages(TEXTS), RetrievedPassage("copy", TEXTS[2], rank=9, score=-99.0)]
    teacher = Coverage(encoder)
    (scores,) = teacher.score_all([Lesson(QUESTION, RATIONALE, shown)], cache)
    assert scores[2] > 0.5
    assert scores[5] == 0
    # whichever has the higher retrieval score, wherever it stands
    better = [*shown[:5], replace(shown[5], score=99.0)]
    (scores,) = teacher.score_all([Lesson(QUESTION, RATIONALE, better[::-1])], cache)
    assert scores[0] > 0.5
    assert scores[3] == 0


def test_scores_follow_the_passages(encoder: Encoder, cache: Cache) -> None:
    shown = passages([*TEXTS, TEXTS[0]])
    order = [5, 3, 0, 4, 2, 1]
    work = [
        Lesson(QUESTION, RATIONALE, shown),
        Lesson(QUESTION, RATIONALE, [shown[i] for i in order]),
    ]
    first, moved = Coverage(encoder).score_all(work, cache)
    assert moved == pytest.approx([first[i] for i in order], abs=1e-5)


@pytest.mark.parametrize("texts", [TEXTS[:1], [TEXTS[0]] * 3])
def test_where_nothing_is_to_be_told_apart_there_is_no_preference(
    texts: list[str], encoder: Encoder, cache: Cache
) -> None:
    lesson = Lesson(QUESTION, RATIONALE, passages(texts))
    (scores,) = Coverage(encoder).score_all([lesson], cache)
    assert scores == [0.5] * len(texts)


def test_the_facts_of_several_rationales_are_all_to_be_covered(
    encoder: Encoder, cache: Cache, tmp_path: Path
) -> None:
    both = Rationale("q1", FACTS[0], others=("Bread is baked from flour.",))
    work = [Lesson(QUESTION, both, passages(TEXTS)), Lesson(QUESTION, both, [])]
    scores, none = Coverage(encoder).score_all(work, cache)
    assert none == []
    assert scores[4] > 0.5
    assert Coverage.needs_set
    assert RationaleSimilarity.needs_set is False
