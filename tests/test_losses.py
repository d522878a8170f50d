"""Losses: one contract for all of them, and an independent oracle, in plain loops, for each."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

import radio.losses
from radio.losses import BinaryCrossEntropy, InfoNCE, ListNet, Loss, RankNet
from radio.schema import InputError


def subclasses(kind: type[Loss]) -> Iterator[type[Loss]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


for found in pkgutil.iter_modules(radio.losses.__path__):
    importlib.import_module(f"radio.losses.{found.name}")

# a new loss is tested by existing; a user's own loss, of which other test modules define some, is not
KINDS = sorted(
    {kind for kind in subclasses(Loss) if kind.__module__.startswith("radio.") and not inspect.isabstract(kind)},
    key=lambda kind: kind.__name__,
)
every_loss = pytest.mark.parametrize("loss", [pytest.param(kind(), id=kind.__name__) for kind in KINDS])

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 1, 1, 0, 0]], dtype=torch.bool)


def random_lists(seed: int = 0, shape: tuple[int, int] = (3, 5)) -> tuple[Tensor, Tensor]:
    """Scores and distinct targets in [0, 1], in float64."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    steps = torch.stack([torch.randperm(shape[1], generator=generator) for _ in range(shape[0])])
    return scores, (steps + 0.5).double() / shape[1]


def value_and_gradient(loss: Loss, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores.detach().clone().requires_grad_()
    value = loss(scores, targets, mask)
    assert value.shape == ()
    value.backward()
    assert scores.grad is not None
    return value.detach(), scores.grad


def is_pointwise(loss: Loss) -> bool:
    """A pointwise loss learns from a single item; the others need something to compare it with."""
    return type(loss).__module__ == "radio.losses.pointwise"


@every_loss
@pytest.mark.parametrize("garbage", [0.0, 7.5, -1e30, math.inf, -math.inf])
def test_padding_changes_neither_value_nor_gradient(loss: Loss, garbage: float) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    # two more questions without an item, and four more columns, some of them between the old ones
    rows, columns = torch.tensor([0, 2, 3]), torch.tensor([1, 2, 4, 5, 8])
    place = rows[:, None], columns[None, :]
    wide_mask = torch.zeros(5, 9, dtype=torch.bool).index_put(place, MASK)
    wide_scores = torch.full((5, 9), garbage, dtype=torch.float64)
    wide_targets = wide_scores.clone()
    wide_scores[wide_mask], wide_targets[wide_mask] = scores[MASK], targets[MASK]
    wide_value, wide_gradient = value_and_gradient(loss, wide_scores, wide_targets, wide_mask)
    torch.testing.assert_close(wide_value, value)
    torch.testing.assert_close(wide_gradient[wide_mask], gradient[MASK])
    assert (wide_gradient[~wide_mask] == 0).all()


@every_loss
def test_order_of_items_and_questions_does_not_matter(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    rows = torch.tensor([2, 0, 1])[:, None]
    columns = torch.tensor([[4, 2, 0, 1, 3], [1, 0, 4, 3, 2], [3, 4, 1, 2, 0]])
    moved_value, moved_gradient = value_and_gradient(
        loss, scores[rows, columns], targets[rows, columns], MASK[rows, columns]
    )
    torch.testing.assert_close(moved_value, value)
    torch.testing.assert_close(moved_gradient, gradient[rows, columns])


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_gradient_is_that_of_the_value(loss: Loss, seed: int) -> None:
    scores, targets = random_lists(seed)
    assert torch.autograd.gradcheck(lambda s: loss(s, targets, MASK), scores.requires_grad_())


@every_loss
@pytest.mark.parametrize("tied", ["scores", "targets", "both"])
def test_ties_are_finite(loss: Loss, tied: str) -> None:
    scores, targets = random_lists()
    scores = torch.full_like(scores, 0.3) if tied != "targets" else scores
    targets = torch.full_like(targets, 0.5) if tied != "scores" else targets
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
def test_nothing_to_learn_from_gives_zero(loss: Loss, shape: tuple[int, int]) -> None:
    value, gradient = value_and_gradient(
        loss, torch.randn(shape), torch.rand(shape), torch.zeros(shape, dtype=torch.bool)
    )
    assert value == 0
    assert torch.equal(gradient, torch.zeros(shape))


@every_loss
def test_a_single_item_counts_only_where_items_stand_alone(loss: Loss) -> None:
    one = torch.tensor([[False, True, False]])
    value, gradient = value_and_gradient(loss, torch.tensor([[9.0, 1.5, 9.0]]), torch.tensor([[0.9, 0.2, 0.9]]), one)
    assert gradient.isfinite().all()
    assert (value > 0) == (gradient[one] != 0) == is_pointwise(loss)


@every_loss
def test_questions_weigh_the_same_whatever_their_length(loss: Loss) -> None:
    scores, targets = random_lists()
    alone = [loss(scores[i : i + 1], targets[i : i + 1], MASK[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(scores, targets, MASK), torch.stack(alone).mean())


@every_loss
def test_bf16_scores_are_computed_in_fp32(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores.bfloat16(), targets.float(), MASK)
    exact, exact_gradient = value_and_gradient(loss, scores.float(), targets.float(), MASK)
    assert value.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(value, exact, rtol=0.01, atol=0.01)
    torch.testing.assert_close(gradient.float(), exact_gradient, rtol=0.05, atol=0.01)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_scores_are_finite(loss: Loss, dtype: torch.dtype) -> None:
    scores = torch.tensor([[1e4, -1e4, 1e4, 0.0, -1e4]] * 3).to(dtype)
    value, gradient = value_and_gradient(loss, scores, random_lists()[1].float(), MASK)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_the_teachers_order_costs_less_than_the_reverse(loss: Loss) -> None:
    _, targets = random_lists()
    everything = torch.ones_like(MASK)
    assert loss(targets.logit(), targets, everything) < loss(-targets.logit(), targets, everything)


# The oracles: the value of one question, as nested Python loops over its real items; None if it does not count.


def bce_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    total = 0.0
    for score, target in zip(scores, targets, strict=True):
        probability = 1 / (1 + math.exp(-score))
        total -= target * math.log(probability) + (1 - target) * math.log(1 - probability)
    return total / len(scores) if scores else None


def ranknet_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    pairs = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            if targets[i] > targets[j]:
                pairs.append(-math.log(1 / (1 + math.exp(scores[j] - scores[i]))))
    return sum(pairs) / len(pairs) if pairs else None


def infonce_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, InfoNCE)
    if len(set(targets)) < 2:
        return None
    weights = [math.exp(score / loss.temperature) for score in scores]
    positives = [i for i, target in enumerate(targets) if target == max(targets)]
    return sum(-math.log(weights[i] / sum(weights)) for i in positives) / len(positives)


def listnet_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, ListNet)
    if len(scores) < 2:
        return None
    student = [math.exp(score / loss.temperature) for score in scores]
    teacher = [math.exp(target / loss.teacher_temperature) for target in targets]
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        total -= t / sum(teacher) * math.log(s / sum(student))
    return total


ORACLES: dict[type[Loss], Callable[[Loss, Sequence[float], Sequence[float]], float | None]] = {
    BinaryCrossEntropy: bce_oracle,
    InfoNCE: infonce_oracle,
    ListNet: listnet_oracle,
    RankNet: ranknet_oracle,
}
SETTINGS: list[Loss] = [
    InfoNCE(temperature=0.5),
    InfoNCE(temperature=4.0),
    ListNet(temperature=0.5),
    ListNet(teacher_temperature=0.1),
    ListNet(temperature=2.0, teacher_temperature=0.3),
]


@pytest.mark.parametrize("targets", ["distinct", "tied", "all tied", "binary"])
@pytest.mark.parametrize("loss", [*(kind() for kind in KINDS), *SETTINGS], ids=lambda x: f"{type(x).__name__}{vars(x)}")
def test_values_equal_an_independent_oracle(loss: Loss, targets: str) -> None:
    oracle = ORACLES.get(type(loss))
    if oracle is None:
        pytest.fail(f"{type(loss).__name__} has no oracle: add a plain-loop one to ORACLES in tests/test_losses.py")
    scores, teacher = random_lists(shape=(6, 5))
    mask = torch.cat([MASK, torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)])
    if targets == "tied":
        teacher = (teacher * 3).ceil() / 3
    elif targets == "all tied":
        teacher = torch.full_like(teacher, 0.4)
    elif targets == "binary":
        teacher = (teacher > 0.6).double()
    expected = []
    for row in range(len(mask)):
        real = [i for i in range(mask.shape[1]) if mask[row, i]]
        value = oracle(loss, [float(scores[row, i]) for i in real], [float(teacher[row, i]) for i in real])
        if value is not None:
            expected.append(value)
    mean = sum(expected) / len(expected) if expected else 0.0
    assert float(loss(scores, teacher, mask)) == pytest.approx(mean, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("temperature", [0, -1])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    for build in (
        lambda: InfoNCE(temperature),
        lambda: ListNet(temperature),
        lambda: ListNet(teacher_temperature=temperature),
    ):
        with pytest.raises(InputError, match=f"found .*{temperature}.*expected"):
            build()
