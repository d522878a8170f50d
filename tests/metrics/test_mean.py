"""The mean over questions is exact, whatever the number of batches and the type of the weights."""

from __future__ import annotations

from fractions import Fraction

import torch

from radio.metrics.mean import mean_over_questions


def test_batches_weigh_by_their_questions_in_full_precision() -> None:
    torch.manual_seed(0)
    losses = torch.rand(5_000) + 1
    mean = mean_over_questions(torch.device("cpu"))
    exact, questions = Fraction(0), 0
    for number, loss in enumerate(losses):
        count = number % 4
        mean.update(loss, torch.tensor(count))
        exact += Fraction(loss.item()) * count
        questions += count
    assert abs(mean.compute().item() - float(exact / questions)) < 1e-14


def test_nothing_that_counts_is_no_number() -> None:
    mean = mean_over_questions(torch.device("cpu"))
    mean.update(torch.zeros(()), torch.tensor(0))
    assert mean.compute().isnan()
