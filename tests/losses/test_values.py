"""Losses: an independent oracle, in plain loops, for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import huber, rel_entr, softmax
from scipy.stats import rankdata

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
from tests.losses.cases import MASK, confidence, every_loss, random_lists

pytestmark = pytest.mark.usefixtures("one_thread")


# The oracles: the value of one question, as nested Python loops over its real items; None if it
# does not count.


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
    costs = [
        float(huber(loss.delta, score - target))
        for score, target in zip(scores, targets, strict=True)
    ]
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


def margin_mse_oracle(
    loss: Loss, scores: Sequence[float], targets: Sequence[float]
) -> float | None:
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
                total += weight * math.log(
                    1 + math.exp(-(scores[i] - scores[j]) / loss.temperature)
                )
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


def teacher_distribution(loss: Any, targets: Sequence[float]) -> Any:
    """None where there is none, or nothing to compare."""
    if len(targets) < 2 or (loss.teacher_temperature is None and not any(targets)):
        return None
    if loss.teacher_temperature is None:
        return np.array(targets) / sum(targets)
    return softmax(np.array(targets) / loss.teacher_temperature)


def listnet_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, ListNet)
    teacher = teacher_distribution(loss, targets)
    if teacher is None:
        return None
    student = [math.exp(score / loss.temperature) for score in scores]
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        total -= t * math.log(s / sum(student))
    return total


def kl_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, KLDivergence)
    teacher = teacher_distribution(loss, targets)
    if teacher is None:
        return None
    student = softmax(np.array(scores) / loss.temperature)
    of, to = (teacher, student) if loss.direction == "forward" else (student, teacher)
    return float(rel_entr(of, to).sum())


def js_oracle(loss: Loss, scores: Sequence[float], targets: Sequence[float]) -> float | None:
    assert isinstance(loss, JensenShannon)
    teacher = teacher_distribution(loss, targets)
    if teacher is None:
        return None
    student = softmax(np.array(scores) / loss.temperature)
    return float(jensenshannon(teacher, student)) ** 2


def plackett_luce_oracle(
    loss: Loss, scores: Sequence[float], targets: Sequence[float]
) -> float | None:
    """One level of the teacher's order after the other leaves the list; all items of a level face
    the same list."""
    if len(set(targets)) < 2:
        return None
    places = list(range(1, len(targets) + 1))
    by_place = [
        2.0 ** (len(targets) - place) - 1 if isinstance(loss, PListMLE) else 1.0 for place in places
    ]
    if isinstance(loss, PListMLE):
        by_place = [weight / sum(by_place) for weight in by_place]
    total, taken = 0.0, 0
    for level in sorted(set(targets), reverse=True):
        remaining = [
            score for score, target in zip(scores, targets, strict=True) if target <= level
        ]
        chosen = [score for score, target in zip(scores, targets, strict=True) if target == level]
        weight = sum(by_place[taken : taken + len(chosen)]) / len(chosen)
        for score in chosen:
            total -= weight * math.log(
                math.exp(score) / sum(math.exp(other) for other in remaining)
            )
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


def approx_ndcg_oracle(
    loss: Loss, scores: Sequence[float], targets: Sequence[float]
) -> float | None:
    assert isinstance(loss, ApproxNDCG)
    if len(set(targets)) < 2:
        return None
    dcg = 0.0
    for i, target in enumerate(targets):
        dcg += (2**target - 1) / math.log2(1 + soft_rank(scores, i, loss.temperature))
    return 1 - dcg / ideal_dcg(targets)


def neural_ndcg_oracle(
    loss: Loss, scores: Sequence[float], targets: Sequence[float]
) -> float | None:
    assert isinstance(loss, NeuralNDCG)
    n = len(scores)
    if len(set(targets)) < 2:
        return None
    spread = [sum(abs(score - other) for other in scores) for score in scores]
    rows = [
        [((n + 1 - 2 * i) * scores[j] - spread[j]) / loss.temperature for j in range(n)]
        for i in range(1, n + 1)
    ]
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


def oracle(
    loss: Loss,
    questions: Sequence[tuple[list[float], list[float]]],
    weights: Sequence[float] = (1.0,) * 6,
) -> float:
    """The value of a batch, as scores and targets of the real items of each question, and the
    weights of the questions."""
    if isinstance(loss, WeightedSum):
        total = 0.0
        for name, part in loss.losses.items():
            weight = loss.weights[name]
            first, last = weight if isinstance(weight, list) else (weight, weight)
            now = (1 - loss.progress) * first + loss.progress * last
            total += now * oracle(part, questions, weights)
        return total
    if isinstance(loss, NoisyTeacher):
        e = loss.smoothing
        smooth = [
            (s, [(1 - e) * t + e * sum(targets) / len(targets) for t in targets])
            for s, targets in questions
        ]
        if loss.confidence is None:
            return oracle(loss.loss, smooth, weights)
        trust = []
        for weight, (_, targets) in zip(weights, questions, strict=False):
            trust.append(weight * confidence(loss, targets))
        alone = [oracle(loss.loss, [question]) for question in smooth]
        total = sum(weight * value for weight, value in zip(trust, alone, strict=True))
        return total / sum(trust) if sum(trust) else 0.0
    if type(loss) not in ORACLES:
        pytest.fail(
            f"{type(loss).__name__} has no oracle: add a plain-loop one to ORACLES in "
            "tests/losses/test_values.py"
        )
    found = [ORACLES[type(loss)](loss, scores, targets) for scores, targets in questions]
    total = 0.0
    counted = 0.0
    for weight, value in zip(weights, found, strict=False):
        if value is not None:
            total += weight * value
            counted += weight
    return total / counted if counted else 0.0


@every_loss
@pytest.mark.parametrize("case", ["distinct", "tied", "all tied", "binary", "tied scores"])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_equal_an_independent_oracle(loss: Loss, case: str, weighted: bool) -> None:
    scores, teacher = random_lists(shape=(6, 5))
    mask = torch.cat(
        [MASK, torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)]
    )
    if case == "tied":
        teacher = (teacher * 3).ceil() / 3
    elif case == "all tied":
        teacher = torch.full_like(teacher, 0.4)
    elif case == "binary":
        teacher = (teacher > 0.6).double()
    elif case == "tied scores":
        scores = (scores / 2).round()
    questions = [
        (scores[row, real].tolist(), teacher[row, real].tolist()) for row, real in enumerate(mask)
    ]
    if case == "binary":
        teacher[1] = 0
        questions[1] = (questions[1][0], [0.0] * len(questions[1][1]))
    given = [0.9, 0.25, 0.0, 0.6, 1.0, 0.3]
    weights = torch.tensor(given, dtype=torch.float64) if weighted else None
    expected = oracle(loss, questions, given) if weighted else oracle(loss, questions)
    assert float(loss(scores, teacher, mask, weights)) == pytest.approx(
        expected, rel=1e-9, abs=1e-12
    )
