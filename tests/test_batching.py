"""Batching: ragged lists become tensors and back, aligned item by item."""

from __future__ import annotations

import math

import pytest
import torch

from radio.batching import group_batch, pad, scatter
from radio.schema import Group, Passage, Question


@pytest.mark.parametrize(
    ("rows", "values", "mask"),
    [
        ([[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0, 0.0]], [[True, True], [True, False]]),
        ([[], [1]], [[0.0], [1.0]], [[False], [True]]),
        ([[], []], [[], []], [[], []]),
    ],
)
def test_pad_fills_with_zero_and_masks_it(
    rows: list[list[float]], values: list[list[float]], mask: list[list[bool]]
) -> None:
    found, found_mask = pad(rows)
    assert found.dtype == torch.float32
    assert found_mask.dtype == torch.bool
    assert found.tolist() == values
    assert found_mask.tolist() == mask


def test_pad_of_no_rows_is_empty() -> None:
    values, mask = pad([])
    assert values.shape == mask.shape == (0, 0)


def test_scatter_puts_flat_item_n_at_the_nth_true_in_row_major_order() -> None:
    _, mask = pad([[0] * 2, [], [0] * 3])
    assert scatter(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), mask).tolist() == [
        [1, 2, 0],
        [0, 0, 0],
        [3, 4, 5],
    ]


def test_scatter_raises_precision_and_carries_gradients_back() -> None:
    _, mask = pad([[0], [0, 0]])
    flat = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16, requires_grad=True)
    padded = scatter(flat, mask)
    assert padded.dtype == torch.float32
    (padded * torch.tensor([[10.0, 99.0], [20.0, 30.0]])).sum().backward()
    assert flat.grad is not None
    assert flat.grad.tolist() == [10, 20, 30]


def test_group_batch_keeps_ids_and_teacher_aligned() -> None:
    groups = [
        Group(Question("q1", "?"), (Passage("a", "A"), Passage("b", "B")), (0.9, 0.1)),
        Group(Question("q2", "?"), (Passage("c", "C"),), (math.nan,)),
    ]
    inputs = {"pairs": {"input_ids": torch.zeros(3, 4)}}
    batch = group_batch(groups, inputs)
    assert batch.inputs is inputs
    assert batch.weights is None
    assert batch.question_ids == ["q1", "q2"]
    assert batch.passage_ids == [["a", "b"], ["c"]]
    assert batch.mask.tolist() == [[True, True], [True, False]]
    torch.testing.assert_close(
        batch.teacher, torch.tensor([[0.9, 0.1], [math.nan, 0.0]]), equal_nan=True
    )
