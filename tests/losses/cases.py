"""Every loss with its settings, small lists to try them on, and what the tests of losses share."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor

import radio.losses
from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    Huber,
    InfoNCE,
    JensenShannon,
    KLDivergence,
    LambdaLoss,
    ListNet,
    Loss,
    MarginMSE,
    MeanSquaredError,
    NeuralNDCG,
    NoisyTeacher,
    PairwiseHinge,
    PairwiseLogistic,
    RankNet,
    WeightedSum,
)
from radio.losses.metric import Weighting


def subclasses(kind: type[Loss]) -> Iterator[type[Loss]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def is_a_loss(kind: type[Loss]) -> bool:
    """Of this project and whole: other test modules define losses of their own, and some classes
    are only shared."""
    return (
        kind.__module__.startswith("radio.")
        and not kind.__name__.startswith("_")
        and not inspect.isabstract(kind)
    )


for found in pkgutil.iter_modules(radio.losses.__path__):
    importlib.import_module(f"radio.losses.{found.name}")

# a new loss is tested by existing
KINDS = sorted(
    {kind for kind in subclasses(Loss) if is_a_loss(kind)}, key=lambda kind: kind.__name__
)
BUILDERS: dict[type[Loss], Callable[[], Loss]] = {
    NoisyTeacher: lambda: NoisyTeacher(InfoNCE()),
    WeightedSum: lambda: WeightedSum({"kl": KLDivergence(), "nce": InfoNCE()}, {"kl": 2.0}),
}
"""For the kinds that need arguments."""


def build(kind: type[Loss], **settings: Any) -> Loss:
    if kind in BUILDERS and not settings:
        return BUILDERS[kind]()
    if kind is NoisyTeacher:
        return NoisyTeacher(**{"loss": InfoNCE(), **settings})
    if kind is WeightedSum:
        return WeightedSum(**{"losses": {"nce": InfoNCE()}, **settings})
    try:
        return kind(**settings)
    except TypeError as error:
        raise TypeError(
            f"{error}: give {kind.__name__} a builder in BUILDERS in tests/losses/cases.py"
        ) from error


def at(progress: float, loss: Loss) -> Loss:
    loss.progress = progress
    return loss


def label(value: Any) -> str:
    if isinstance(value, Loss):
        settings = ",".join(f"{name}={label(setting)}" for name, setting in vars(value).items())
        return f"{type(value).__name__}({settings})"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{label(part)}" for name, part in value.items()) + "}"
    return str(value)


DEFAULTS = [build(kind) for kind in KINDS]
SETTINGS: list[Loss] = [
    Huber(delta=0.3),
    RankNet(teacher_temperature=0.2),
    MarginMSE(scale=5.0),
    MarginMSE(pairs="best"),
    PairwiseHinge(margin=0.4, threshold=0.1),
    PairwiseLogistic(temperature=0.5, threshold=0.1),
    PairwiseLogistic(weighted=False),
    InfoNCE(temperature=0.5),
    InfoNCE(temperature=4.0),
    InfoNCE(positives=2, label_smoothing=0.1),
    InfoNCE(label_smoothing=0.3),
    ListNet(temperature=0.5),
    ListNet(teacher_temperature=0.1),
    ListNet(temperature=2.0, teacher_temperature=0.3),
    ListNet(temperature=2.0, teacher_temperature=None),
    KLDivergence(temperature=2.0, teacher_temperature=0.3),
    KLDivergence(teacher_temperature=0.1, direction="reverse"),
    KLDivergence(teacher_temperature=None),
    JensenShannon(temperature=2.0, teacher_temperature=0.3),
    JensenShannon(teacher_temperature=None),
    *(LambdaLoss(weighting=name) for name in get_args(Weighting) if name != "ndcg_loss2++"),
    LambdaLoss(sigma=0.5, mu=3.0, k=2),
    LambdaLoss(weighting="ndcg_loss1", k=1),
    LambdaLoss(weighting="lambda_rank", sigma=2.0, k=3),
    ApproxNDCG(temperature=1.0),
    NeuralNDCG(temperature=3.0, iterations=3),
    ADRMSE(temperature=0.3),
    at(
        0.25,
        WeightedSum(
            {"kl": KLDivergence(), "mse": MeanSquaredError()}, {"kl": [1.0, 0.0], "mse": [0.0, 2.0]}
        ),
    ),
    WeightedSum({"a": RankNet(), "b": ADRMSE()}, {"a": 0.0}),
    NoisyTeacher(KLDivergence(), smoothing=0.2, confidence="entropy"),
    NoisyTeacher(ListNet(), smoothing=0.3, confidence="margin"),
    NoisyTeacher(MeanSquaredError(), smoothing=0.3, confidence=None),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_loss = pytest.mark.parametrize("loss", [*DEFAULTS, *SETTINGS], ids=label)


MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 1, 1, 0, 0]], dtype=torch.bool)


def random_lists(seed: int = 0, shape: tuple[int, int] = (3, 5)) -> tuple[Tensor, Tensor]:
    """Scores and distinct targets in [0, 1], in float64."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    steps = torch.stack([torch.randperm(shape[1], generator=generator) for _ in range(shape[0])])
    return scores, (steps + 0.5).double() / shape[1]


def value_and_gradient(
    loss: Loss, scores: Tensor, targets: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    scores = scores.detach().clone().requires_grad_()
    value = loss(scores, targets, mask)
    assert value.shape == ()
    value.backward()
    assert scores.grad is not None
    return value.detach(), scores.grad


def is_pointwise(loss: Loss) -> bool:
    """A pointwise loss learns from a single item; the others need something to compare it with."""
    if isinstance(loss, WeightedSum):
        return any(is_pointwise(part) for part in loss.losses.values())
    if isinstance(loss, NoisyTeacher):
        # a teacher has no confidence in the order of one item
        return loss.confidence is None and is_pointwise(loss.loss)
    return type(loss).__module__ == "radio.losses.pointwise"


def confidence(loss: NoisyTeacher, targets: Sequence[float]) -> float:
    """What its docstring promises for one question, in plain Python."""
    if loss.confidence is None:
        return 1.0
    if len(set(targets)) < 2:
        return 0.0
    if loss.confidence == "margin":
        best, second = sorted(targets, reverse=True)[:2]
        return best - second
    return 1 - float(entropy(softmax(np.array(targets) / loss.temperature))) / math.log(
        len(targets)
    )
