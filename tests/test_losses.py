"""Losses: one contract for all of them, and an independent oracle, in plain loops, for each."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import huber, rel_entr, softmax
from scipy.stats import entropy, rankdata
from torch import Tensor

import radio.losses
from radio.losses import (
    ADRMSE,
    ApproxNDCG,
    BinaryCrossEntropy,
    Huber,
    InfoNCE,
    JensenShannon,
    KLDivergence,
    LambdaLoss,
    ListMLE,
    ListNet,
    Loss,
    MarginMSE,
    MeanSquaredError,
    NeuralNDCG,
    NoisyTeacher,
    PairwiseHinge,
    PairwiseLogistic,
    PListMLE,
    RankNet,
    WeightedSum,
)
from radio.losses.metric import Weighting
from radio.schema import InputError


def subclasses(kind: type[Loss]) -> Iterator[type[Loss]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def is_a_loss(kind: type[Loss]) -> bool:
    """Of this project and whole: other test modules define losses of their own, and some classes are only shared."""
    return kind.__module__.startswith("radio.") and not kind.__name__.startswith("_") and not inspect.isabstract(kind)


for found in pkgutil.iter_modules(radio.losses.__path__):
    importlib.import_module(f"radio.losses.{found.name}")

# a new loss is tested by existing
KINDS = sorted({kind for kind in subclasses(Loss) if is_a_loss(kind)}, key=lambda kind: kind.__name__)
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
        raise TypeError(f"{error}: give {kind.__name__} a builder in BUILDERS in tests/test_losses.py") from error


def at(progress: float, loss: Loss) -> Loss:
    loss.progress = progress
    return loss


def label(value: Any) -> str:
    if isinstance(value, Loss):
        return f"{type(value).__name__}({','.join(f'{name}={label(part)}' for name, part in vars(value).items())})"
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
    KLDivergence(temperature=2.0, teacher_temperature=0.3),
    KLDivergence(teacher_temperature=0.1, direction="reverse"),
    JensenShannon(temperature=2.0, teacher_temperature=0.3),
    *(LambdaLoss(weighting=name) for name in get_args(Weighting) if name != "ndcg_loss2++"),
    LambdaLoss(sigma=0.5, mu=3.0, k=2),
    LambdaLoss(weighting="ndcg_loss1", k=1),
    LambdaLoss(weighting="lambda_rank", sigma=2.0, k=3),
    ApproxNDCG(temperature=1.0),
    NeuralNDCG(temperature=3.0, iterations=3),
    ADRMSE(temperature=0.3),
    at(0.25, WeightedSum({"kl": KLDivergence(), "mse": MeanSquaredError()}, {"kl": [1.0, 0.0], "mse": [0.0, 2.0]})),
    WeightedSum({"a": RankNet(), "b": ADRMSE()}, {"a": 0.0}),
    NoisyTeacher(KLDivergence(), smoothing=0.2, confidence="entropy"),
    NoisyTeacher(ListNet(), smoothing=0.3, confidence="margin"),
    NoisyTeacher(MeanSquaredError(), smoothing=0.3, confidence=None),
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_loss = pytest.mark.parametrize("loss", [*DEFAULTS, *SETTINGS], ids=label)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On tensors this small threads do nothing but wait for each other, long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    if isinstance(loss, WeightedSum):
        return any(is_pointwise(part) for part in loss.losses.values())
    if isinstance(loss, NoisyTeacher):
        # a teacher has no confidence in the order of one item
        return loss.confidence is None and is_pointwise(loss.loss)
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
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], dtype=torch.bool)
    alone = torch.stack([loss(scores[i : i + 1], targets[i : i + 1], mask[i : i + 1]) for i in range(3)])
    weights = torch.ones(3, dtype=torch.float64)
    if isinstance(loss, NoisyTeacher):  # documented: by the teacher's confidence, where asked for
        weights = torch.tensor([confidence(loss, targets[i, mask[i]].tolist()) for i in range(3)], dtype=torch.float64)
    torch.testing.assert_close(loss(scores, targets, mask), (weights * alone).sum() / weights.sum())


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_are_computed_in_fp32(loss: Loss, dtype: torch.dtype) -> None:
    scores, targets = random_lists()
    scores = scores.to(dtype)
    value, gradient = value_and_gradient(loss, scores, targets.float(), MASK)
    exact, exact_gradient = value_and_gradient(loss, scores.float(), targets.float(), MASK)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(value, exact, rtol=0, atol=0)
    torch.testing.assert_close(gradient, exact_gradient.to(dtype), rtol=0, atol=0)


@every_loss
def test_no_tensor_is_left_on_another_device(loss: Loss) -> None:
    if isinstance(loss, NoisyTeacher) and loss.confidence:
        pytest.skip("reads the weights of the questions, which the device meta does not have")
    scores, targets = random_lists()
    value = loss(scores.to("meta").requires_grad_(), targets.to("meta"), MASK.to("meta"))
    assert value.device.type == "meta"
    value.backward()


@every_loss
def test_a_constant_added_to_the_scores_matters_only_where_documented(loss: Loss) -> None:
    scores, targets = random_lists()
    value, gradient = value_and_gradient(loss, scores, targets, MASK)
    moved, moved_gradient = value_and_gradient(
        loss, scores + torch.tensor([[3.0], [-2.0], [0.5]]).double(), targets, MASK
    )
    if loss.shift_invariant:
        torch.testing.assert_close(moved, value)
        torch.testing.assert_close(moved_gradient, gradient)
        torch.testing.assert_close(gradient.sum(1), torch.zeros(3, dtype=torch.float64))
    else:
        assert (moved - value).abs() > 1e-3


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


def mse_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    squares = [(score - target) ** 2 for score, target in zip(scores, targets, strict=True)]
    return sum(squares) / len(squares) if squares else None


def huber_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, Huber)
    costs = [float(huber(loss.delta, score - target)) for score, target in zip(scores, targets, strict=True)]
    return sum(costs) / len(costs) if costs else None


def ranknet_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, RankNet)
    pairs = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            student = 1 / (1 + math.exp(scores[j] - scores[i]))
            if loss.teacher_temperature is not None and i < j:  # each pair once, both outcomes
                teacher = 1 / (1 + math.exp((targets[j] - targets[i]) / loss.teacher_temperature))
                pairs.append(-teacher * math.log(student) - (1 - teacher) * math.log(1 - student))
            elif loss.teacher_temperature is None and targets[i] > targets[j]:
                pairs.append(-math.log(student))
    return sum(pairs) / len(pairs) if pairs else None


def margin_mse_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, MarginMSE)
    pairs = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            if targets[i] > targets[j] and (loss.pairs == "all" or targets[i] == max(targets)):
                pairs.append((scores[i] - scores[j] - loss.scale * (targets[i] - targets[j])) ** 2)
    return sum(pairs) / len(pairs) if pairs else None


def hinge_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, PairwiseHinge)
    pairs = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            if targets[i] - targets[j] > loss.threshold:
                pairs.append(max(0.0, loss.margin - (scores[i] - scores[j])))
    return sum(pairs) / len(pairs) if pairs else None


def logistic_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, PairwiseLogistic)
    total = weights = 0.0
    for i in range(len(scores)):
        for j in range(len(scores)):
            if (gap := targets[i] - targets[j]) > loss.threshold:
                weight = gap if loss.weighted else 1.0
                total += weight * math.log(1 + math.exp(-(scores[i] - scores[j]) / loss.temperature))
                weights += weight
    return total / weights if weights else None


def infonce_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, InfoNCE)
    if len(scores) <= loss.positives:
        return None
    last = sorted(targets, reverse=True)[loss.positives - 1]
    positives = [i for i, target in enumerate(targets) if target >= last]
    if len(positives) == len(targets):
        return None
    weights = [math.exp(score / loss.temperature) for score in scores]
    surprise = [-math.log(weight / sum(weights)) for weight in weights]
    value = sum(surprise[i] for i in positives) / len(positives)
    return (1 - loss.label_smoothing) * value + loss.label_smoothing * sum(surprise) / len(surprise)


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


def kl_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, KLDivergence)
    if len(scores) < 2:
        return None
    student = softmax(np.array(scores) / loss.temperature)
    teacher = softmax(np.array(targets) / loss.teacher_temperature)
    of, to = (teacher, student) if loss.direction == "forward" else (student, teacher)
    return float(rel_entr(of, to).sum())


def js_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, JensenShannon)
    if len(scores) < 2:
        return None
    student = softmax(np.array(scores) / loss.temperature)
    teacher = softmax(np.array(targets) / loss.teacher_temperature)
    return float(jensenshannon(teacher, student)) ** 2


def plackett_luce_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    """One level of the teacher's order after the other leaves the list; all items of a level face the same list."""
    if len(set(targets)) < 2:
        return None
    places = list(range(1, len(targets) + 1))
    by_place = [2.0 ** (len(targets) - place) - 1 if isinstance(loss, PListMLE) else 1.0 for place in places]
    if isinstance(loss, PListMLE):
        by_place = [weight / sum(by_place) for weight in by_place]
    total, taken = 0.0, 0
    for level in sorted(set(targets), reverse=True):
        remaining = [score for score, target in zip(scores, targets, strict=True) if target <= level]
        chosen = [score for score, target in zip(scores, targets, strict=True) if target == level]
        weight = sum(by_place[taken : taken + len(chosen)]) / len(chosen)
        for score in chosen:
            total -= weight * math.log(math.exp(score) / sum(math.exp(other) for other in remaining))
        taken += len(chosen)
    return total


def ideal_dcg(targets: Sequence[float], k: int | None = None) -> float:
    best = sorted(targets, reverse=True)[:k]
    return sum((2**t - 1) / math.log2(1 + place) for place, t in enumerate(best, 1))


def lambda_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, LambdaLoss)
    if len(set(targets)) < 2:
        return None
    rank = [float(r) for r in rankdata([-score for score in scores])]
    # equal scores may stand on the best of the ranks that they share
    first = [float(r) for r in rankdata([-score for score in scores], method="min")]
    gain = [(2**target - 1) / ideal_dcg(targets, loss.k) for target in targets]
    values = []
    for i in range(len(scores)):
        for j in range(len(scores)):
            if i == j or (loss.weighting != "ndcg_loss1" and targets[i] <= targets[j]):
                continue
            if loss.k is not None and first[i] > loss.k and first[j] > loss.k:
                continue
            apart = max(1.0, abs(rank[i] - rank[j]))
            delta = abs(1 / math.log2(1 + apart) - 1 / math.log2(1 + apart + 1))
            rho = abs(1 / math.log2(1 + rank[i]) - 1 / math.log2(1 + rank[j]))
            weight = {
                "ndcg_loss1": gain[i] / math.log2(1 + rank[i]),
                "ndcg_loss2": abs(gain[i] - gain[j]) * delta,
                "lambda_rank": abs(gain[i] - gain[j]) * rho,
                "ndcg_loss2++": abs(gain[i] - gain[j]) * (rho + loss.mu * delta),
                "none": 1.0,
            }[loss.weighting]
            values.append(weight * math.log2(1 + math.exp(-loss.sigma * (scores[i] - scores[j]))))
    return sum(values) if values else None


def soft_rank(scores: Sequence[float], i: int, temperature: float) -> float:
    others = [score for j, score in enumerate(scores) if j != i]
    return 1 + sum(1 / (1 + math.exp((scores[i] - other) / temperature)) for other in others)


def approx_ndcg_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, ApproxNDCG)
    if len(set(targets)) < 2:
        return None
    dcg = 0.0
    for i, target in enumerate(targets):
        dcg += (2**target - 1) / math.log2(1 + soft_rank(scores, i, loss.temperature))
    return 1 - dcg / ideal_dcg(targets)


def neural_ndcg_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, NeuralNDCG)
    n = len(scores)
    if len(set(targets)) < 2:
        return None
    spread = [sum(abs(score - other) for other in scores) for score in scores]
    rows = [[((n + 1 - 2 * i) * scores[j] - spread[j]) / loss.temperature for j in range(n)] for i in range(1, n + 1)]
    matrix = softmax(np.array(rows), axis=1)
    for _ in range(loss.iterations):
        matrix = matrix / matrix.sum(axis=1, keepdims=True)
        matrix = matrix / matrix.sum(axis=0, keepdims=True)
    dcg = 0.0
    for i in range(n):
        for j in range(n):
            dcg += matrix[i, j] * (2 ** targets[j] - 1) / math.log2(i + 2)
    return 1 - dcg / ideal_dcg(targets)


def adr_mse_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, ADRMSE)
    if len(set(targets)) < 2:
        return None
    total = 0.0
    for i, wanted in enumerate(rankdata([-target for target in targets])):
        total += (wanted - soft_rank(scores, i, loss.temperature)) ** 2 / math.log2(1 + wanted)
    return total / len(targets)


ORACLES: dict[type[Loss], Callable[[Loss, Sequence[float], Sequence[float]], float | None]] = {
    ADRMSE: adr_mse_oracle,
    ApproxNDCG: approx_ndcg_oracle,
    BinaryCrossEntropy: bce_oracle,
    Huber: huber_oracle,
    InfoNCE: infonce_oracle,
    JensenShannon: js_oracle,
    KLDivergence: kl_oracle,
    LambdaLoss: lambda_oracle,
    ListMLE: plackett_luce_oracle,
    ListNet: listnet_oracle,
    MarginMSE: margin_mse_oracle,
    MeanSquaredError: mse_oracle,
    NeuralNDCG: neural_ndcg_oracle,
    PListMLE: plackett_luce_oracle,
    PairwiseHinge: hinge_oracle,
    PairwiseLogistic: logistic_oracle,
    RankNet: ranknet_oracle,
}


def confidence(loss: NoisyTeacher, targets: Sequence[float]) -> float:
    if loss.confidence is None:
        return 1.0
    if len(set(targets)) < 2:
        return 0.0
    if loss.confidence == "margin":
        best, second = sorted(targets, reverse=True)[:2]
        return best - second
    return 1 - float(entropy(softmax(np.array(targets) / loss.temperature))) / math.log(len(targets))


def oracle(loss: Loss, questions: Sequence[tuple[list[float], list[float]]]) -> float:
    """The value of a batch, as scores and targets of the real items of each question."""
    if isinstance(loss, WeightedSum):
        total = 0.0
        for name, part in loss.losses.items():
            weight = loss.weights[name]
            first, last = weight if isinstance(weight, list) else (weight, weight)
            total += ((1 - loss.progress) * first + loss.progress * last) * oracle(part, questions)
        return total
    if isinstance(loss, NoisyTeacher):
        e = loss.smoothing
        smooth = [(s, [(1 - e) * t + e * sum(targets) / len(targets) for t in targets]) for s, targets in questions]
        if loss.confidence is None:
            return oracle(loss.loss, smooth)
        weights = [confidence(loss, targets) for _, targets in questions]
        values = [weight * oracle(loss.loss, [question]) for weight, question in zip(weights, smooth, strict=True)]
        return sum(values) / sum(weights) if sum(weights) else 0.0
    if type(loss) not in ORACLES:
        pytest.fail(f"{type(loss).__name__} has no oracle: add a plain-loop one to ORACLES in tests/test_losses.py")
    found = [ORACLES[type(loss)](loss, scores, targets) for scores, targets in questions]
    values = [value for value in found if value is not None]
    return sum(values) / len(values) if values else 0.0


@every_loss
@pytest.mark.parametrize("case", ["distinct", "tied", "all tied", "binary", "tied scores"])
def test_values_equal_an_independent_oracle(loss: Loss, case: str) -> None:
    scores, teacher = random_lists(shape=(6, 5))
    mask = torch.cat([MASK, torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)])
    if case == "tied":
        teacher = (teacher * 3).ceil() / 3
    elif case == "all tied":
        teacher = torch.full_like(teacher, 0.4)
    elif case == "binary":
        teacher = (teacher > 0.6).double()
    elif case == "tied scores":
        scores = (scores / 2).round()
    questions = [(scores[row, real].tolist(), teacher[row, real].tolist()) for row, real in enumerate(mask)]
    assert float(loss(scores, teacher, mask)) == pytest.approx(oracle(loss, questions), rel=1e-9, abs=1e-12)


# What else the docstrings say.


@pytest.mark.parametrize(
    "kind", [ADRMSE, ApproxNDCG, InfoNCE, JensenShannon, KLDivergence, ListNet, NeuralNDCG, PairwiseLogistic]
)
@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_scaling_scores_and_temperature_together_changes_nothing(kind: type[Loss], factor: float) -> None:
    scores, targets = random_lists()
    value = kind(temperature=0.7)(scores, targets, MASK)
    torch.testing.assert_close(kind(temperature=0.7 * factor)(factor * scores, targets, MASK), value)


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_squared_and_linear_losses_scale_with_their_units(factor: float) -> None:
    scores, targets = random_lists()
    c, square = factor, factor**2
    for scaled, plain, by in (
        (MeanSquaredError()(c * scores, c * targets, MASK), MeanSquaredError()(scores, targets, MASK), square),
        (Huber(c * 0.3)(c * scores, c * targets, MASK), Huber(0.3)(scores, targets, MASK), square),
        (MarginMSE(scale=c)(c * scores, targets, MASK), MarginMSE()(scores, targets, MASK), square),
        (PairwiseHinge(margin=c)(c * scores, targets, MASK), PairwiseHinge()(scores, targets, MASK), c),
    ):
        torch.testing.assert_close(scaled, by * plain)


@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize("k", [None, 2])
def test_scaling_scores_or_sigma_is_the_same_in_lambda_loss(weighting: Weighting, k: int | None) -> None:
    scores, targets = random_lists()
    steep = LambdaLoss(weighting, sigma=3.0, k=k)(scores, targets, MASK)
    torch.testing.assert_close(LambdaLoss(weighting, k=k)(3 * scores, targets, MASK), steep)


def test_lambda_loss_with_k_of_the_whole_list_is_that_without() -> None:
    scores, targets = random_lists()
    for weighting in get_args(Weighting):
        full, values = LambdaLoss(weighting)(scores, targets, MASK), []
        for k in range(1, 6):
            values.append(float(LambdaLoss(weighting, k=k)(scores, targets, MASK)))
        assert values[-1] == pytest.approx(float(full))
        # more pairs with k; the weights shrink with maxDCG@k
        assert weighting != "none" or values == sorted(values)
        assert values[0] != pytest.approx(float(full))


def test_lambda_loss_with_k_learns_from_scores_that_all_tie() -> None:
    targets, everything = torch.tensor([[0.9, 0.5, 0.3, 0.1]]), torch.ones(1, 4, dtype=torch.bool)
    value, gradient = value_and_gradient(LambdaLoss(k=1), torch.zeros(1, 4), targets, everything)
    assert value > 0
    assert (gradient != 0).all()


def test_the_weights_of_lambda_loss_carry_no_gradient() -> None:
    scores, targets = random_lists()
    unweighted = LambdaLoss("none")
    # one pair: the gradient is that of the unweighted loss, times a constant
    pair = MASK[2:]
    _, plain = value_and_gradient(unweighted, scores[2:], targets[2:], pair)
    for weighting in get_args(Weighting):
        value, gradient = value_and_gradient(LambdaLoss(weighting), scores[2:], targets[2:], pair)
        if weighting != "ndcg_loss1":
            ratio = value / unweighted(scores[2:], targets[2:], pair)
            torch.testing.assert_close(gradient, ratio * plain)


def test_soft_ranknet_tends_to_the_hard_one() -> None:
    scores, targets = random_lists()
    hard = RankNet()(scores, targets, MASK)
    torch.testing.assert_close(RankNet(teacher_temperature=1e-4)(scores, targets, MASK), hard)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [ApproxNDCG(temperature=1e-4), NeuralNDCG(temperature=1e-3)], ids=label)
def test_soft_ndcg_tends_to_ndcg(loss: Loss, seed: int) -> None:
    ndcg_score = pytest.importorskip("sklearn.metrics").ndcg_score
    scores, targets = random_lists(seed, (4, 7))
    everything = torch.ones_like(scores, dtype=torch.bool)
    # its gains are linear in what it is given
    ndcg = ndcg_score(2 ** targets.numpy() - 1, scores.numpy())
    assert float(loss(scores, targets, everything)) == pytest.approx(1 - ndcg, abs=1e-6)
    assert 0.01 < 1 - ndcg < 0.99


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0])
def test_approx_ndcg_lies_in_its_bounds(temperature: float) -> None:
    scores, targets = random_lists(0, (200, 6))
    loss = ApproxNDCG(temperature)
    for row in range(200):
        value = loss(scores[row : row + 1], targets[row : row + 1], torch.ones(1, 6, dtype=torch.bool))
        assert -1e-12 <= float(value) < 1


def test_more_iterations_of_sinkhorn_scaling_converge() -> None:
    scores, targets = random_lists()
    values = [float(NeuralNDCG(iterations=n)(scores, targets, MASK)) for n in (1, 30, 1000, 2000)]
    assert values[2] == pytest.approx(values[3], abs=1e-9)
    assert abs(values[1] - values[3]) < abs(values[0] - values[3])


def test_divergences_are_zero_at_agreement_alone() -> None:
    _, targets = random_lists()
    everything = torch.ones_like(MASK)
    agreeing = 2.0 * targets / 0.3 + 5.0
    for loss in (
        KLDivergence(2.0, 0.3),
        KLDivergence(2.0, 0.3, "reverse"),
        JensenShannon(2.0, 0.3),
    ):
        value, gradient = value_and_gradient(loss, agreeing, targets, everything)
        assert float(value) == pytest.approx(0, abs=1e-12)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))
        assert loss(agreeing.flip(1), targets, everything) > 0.01


def test_list_net_and_forward_kl_have_the_same_gradient() -> None:
    scores, targets = random_lists()
    for settings in ((1.0, 1.0), (2.0, 0.1)):
        _, cross_entropy = value_and_gradient(ListNet(*settings), scores, targets, MASK)
        _, divergence = value_and_gradient(KLDivergence(*settings), scores, targets, MASK)
        torch.testing.assert_close(cross_entropy, divergence)


def test_jensen_shannon_is_symmetric_and_bounded() -> None:
    scores, targets = random_lists()
    there = JensenShannon(2.0, 0.3)(scores, targets, MASK)
    torch.testing.assert_close(JensenShannon(0.3, 2.0)(targets, scores, MASK), there)
    apart = torch.tensor([[1e4, 0.0], [0.0, 1e4]]).double()
    both = torch.ones(2, 2, dtype=torch.bool)
    assert float(JensenShannon()(apart, apart.flip(1), both)) == pytest.approx(math.log(2))


def test_list_mle_is_a_probability_of_orders() -> None:
    scores = random_lists()[0][:1, :4]
    total = 0.0
    for order in permutations([0.1, 0.2, 0.3, 0.4]):
        targets = torch.tensor([order], dtype=torch.float64)
        total += math.exp(-float(ListMLE()(scores, targets, torch.ones(1, 4, dtype=torch.bool))))
    assert total == pytest.approx(1)


def test_position_weights_do_not_grow_with_the_list() -> None:
    n = 300  # 2^n is beyond fp32
    scores, targets = torch.zeros(1, n), torch.linspace(0, 1, n)[None]
    value, gradient = value_and_gradient(PListMLE(), scores, targets, torch.ones(1, n, dtype=torch.bool))
    expected = sum(2.0**-place * math.log(n + 1 - place) for place in range(1, 60))
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert gradient.isfinite().all()


def test_weights_follow_the_progress_of_the_training() -> None:
    scores, targets = random_lists()
    kl, nce = KLDivergence(), InfoNCE()
    first, second = kl(scores, targets, MASK), nce(scores, targets, MASK)
    loss = WeightedSum({"kl": kl, "nce": nce}, {"kl": [1.0, 0.0], "nce": [0.5, 2.0]})
    for progress, expected in (
        (0.0, first + 0.5 * second),
        (0.5, 0.5 * first + 1.25 * second),
        (1.0, 2.0 * second),
        (1.1, 2.0 * second),  # the estimate of the number of steps may be short
    ):
        torch.testing.assert_close(at(progress, loss)(scores, targets, MASK), expected)
    outer = at(0.5, WeightedSum({"inner": NoisyTeacher(loss, confidence=None)}, {"inner": 2.0}))
    torch.testing.assert_close(outer(scores, targets, MASK), first + 2.5 * second)


def test_a_loss_of_weight_zero_is_not_asked() -> None:
    class Broken(Loss):
        def __call__(self, scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
            raise AssertionError

    scores, targets = random_lists()
    loss = WeightedSum({"broken": Broken(), "nce": InfoNCE()}, {"broken": 0})
    torch.testing.assert_close(loss(scores, targets, MASK), InfoNCE()(scores, targets, MASK))
    silent = WeightedSum({"broken": Broken()}, {"broken": [0, 1]})
    padding = torch.full((1, 5), math.inf).bfloat16()
    value, gradient = value_and_gradient(silent, padding, targets[:1], torch.zeros_like(MASK[:1]))
    assert value == 0
    assert value.dtype == torch.float32
    assert (gradient == 0).all()


@pytest.mark.parametrize("measure", ["margin", "entropy"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [2, 3, 6, 8, 10, 17])
def test_a_teacher_without_an_opinion_is_not_followed(
    measure: Literal["margin", "entropy"], dtype: torch.dtype, size: int
) -> None:
    scores = random_lists(shape=(1, size))[0].to(dtype)
    loss = NoisyTeacher(KLDivergence(), confidence=measure)
    tied, everything = torch.full_like(scores, 0.7), torch.ones_like(scores, dtype=torch.bool)
    value, gradient = value_and_gradient(loss, scores, tied, everything)
    assert value == 0
    assert (gradient == 0).all()


def test_a_sure_teacher_counts_more() -> None:
    scores = torch.tensor([[0.0, 1.0, 2.0]] * 2).double()
    sure, unsure = [1.0, 0.0, 0.1], [0.1, 0.2, 0.3]
    targets = torch.tensor([sure, unsure]).double()
    everything = torch.ones_like(scores, dtype=torch.bool)
    alone = [InfoNCE()(scores[i : i + 1], targets[i : i + 1], everything[:1]) for i in range(2)]
    weighted = NoisyTeacher(InfoNCE())(scores, targets, everything)
    torch.testing.assert_close(weighted, (0.9 * alone[0] + 0.1 * alone[1]) / 1.0)


@pytest.mark.parametrize(
    "loss", [RankNet(), ListMLE(), PListMLE(), InfoNCE(), PairwiseHinge(), ADRMSE(), PairwiseLogistic(weighted=False)]
)
def test_smoothing_does_not_touch_losses_that_see_the_order_alone(loss: Loss) -> None:
    scores, targets = random_lists()
    smooth = NoisyTeacher(loss, smoothing=0.5, confidence=None)(scores, targets, MASK)
    torch.testing.assert_close(smooth, loss(scores, targets, MASK))


# Settings.


def refused(kind: type[Loss]) -> Iterator[tuple[str, Any]]:
    """Values out of range for each setting of a loss, from its annotations."""
    hints = get_type_hints(kind.__init__)
    for name in inspect.signature(kind).parameters:
        parts = get_args(hints[name]) or (hints[name],)
        if get_origin(hints[name]) is Literal or any(get_origin(part) is Literal for part in parts):
            yield name, "nonsense"
        elif float in parts or int in parts:
            yield name, -1
            yield name, math.nan


REFUSED = [(kind, *setting) for kind in KINDS for setting in refused(kind)]


@pytest.mark.parametrize(("kind", "name", "value"), REFUSED, ids=lambda x: getattr(x, "__name__", str(x)))
def test_a_setting_out_of_range_is_refused_by_name(kind: type[Loss], name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{kind.__name__}: {name}: found {value!r}, expected "):
        build(kind, **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ADRMSE, "temperature", 0),
        (ApproxNDCG, "temperature", 0),
        (Huber, "delta", 0),
        (InfoNCE, "temperature", 0),
        (InfoNCE, "positives", 0),
        (InfoNCE, "label_smoothing", 1.0),
        (JensenShannon, "teacher_temperature", 0),
        (KLDivergence, "temperature", 0),
        (LambdaLoss, "k", 0),
        (LambdaLoss, "mu", 0),
        (LambdaLoss, "sigma", 0),
        (ListNet, "temperature", 0),
        (MarginMSE, "scale", 0),
        (NeuralNDCG, "iterations", 0),
        (NeuralNDCG, "temperature", 0),
        (NoisyTeacher, "smoothing", 1.0),
        (NoisyTeacher, "temperature", 0),
        (PairwiseHinge, "margin", 0),
        (PairwiseHinge, "threshold", 1.0),
        (PairwiseLogistic, "temperature", 0),
        (PairwiseLogistic, "threshold", 1.0),
        (RankNet, "teacher_temperature", 0),
    ],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_a_setting_at_the_end_of_its_range_is_refused_by_name(kind: type[Loss], name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{kind.__name__}: {name}: found {value!r}, expected "):
        build(kind, **{name: value})


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        ({}, None, "WeightedSum: losses: found {}, expected"),
        ({"nce": InfoNCE()}, {"ncee": 1.0}, r"WeightedSum: weights: found \['ncee'\], expected .*'nce'"),
        ({"nce": InfoNCE()}, {"nce": [1.0]}, r"WeightedSum: weights.nce: found \[1.0\], expected"),
        ({"nce": InfoNCE()}, {"nce": [1.0, 2.0, 3.0]}, r"WeightedSum: weights.nce: found .*, expected"),
    ],
)
def test_a_weighted_sum_that_can_not_be_is_refused(losses: Any, weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        WeightedSum(losses, weights)
