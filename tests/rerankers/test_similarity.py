"""Texts that are embedded apart: each once, and the best token for each token."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from radio.rerankers.similarity import distinct, max_similarity, padded


def test_each_distinct_text_stands_once_in_order_of_appearance() -> None:
    texts, index = distinct(["b", "a", "b", "c", "a"])
    assert texts == ["b", "a", "c"]
    assert index.tolist() == [0, 1, 0, 2, 1]


def test_rows_of_different_lengths_are_filled_up_with_zeros_and_masked() -> None:
    values, mask = padded([torch.ones(2, 3), torch.ones(1, 3)])
    assert values.shape == (2, 2, 3)
    assert values[1, 1].tolist() == [0, 0, 0]
    assert mask.tolist() == [[True, True], [True, False]]


def test_each_token_looks_for_its_best_one_among_those_that_take_part() -> None:
    generator = torch.Generator().manual_seed(0)
    questions = normalize(torch.randn(2, 3, 4, generator=generator), dim=2)
    passages = normalize(torch.randn(3, 5, 4, generator=generator), dim=2)
    kept = torch.rand(3, 5, generator=generator) < 0.6
    kept[:, 0] = True
    # more pairs than are compared at a time
    pairs = torch.arange(600)
    question, passage = pairs % 2, pairs % 3
    found = max_similarity(questions, passages, kept, question, passage)
    assert found.shape == (600, 3)
    for pair in (0, 1, 255, 256, 599):
        for token in range(3):
            words = passages[passage[pair]][kept[passage[pair]]]
            best = max(float(questions[question[pair], token] @ word) for word in words)
            torch.testing.assert_close(float(found[pair, token]), best, atol=1e-6, rtol=0)
