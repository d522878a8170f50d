"""Means over the questions of an evaluation."""

from __future__ import annotations

import torch
from torchmetrics import MeanMetric


def mean_over_questions(device: torch.device) -> MeanMetric:
    """A mean of the means of batches, each weighted by its questions, over all processes.

    It sums in float64, so that many batches lose no digits; Apple's GPUs have float32 alone.

    Args:
        device: where the processes exchange tensors.
    """
    exact = torch.float32 if device.type == "mps" else torch.float64
    mean = MeanMetric().to(device)
    # after the move, which would have the values of the batches rounded to float32 again
    mean.set_dtype(exact)
    return mean
