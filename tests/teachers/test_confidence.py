"""Confidence: the weight of a question, from the scores of one teacher or two."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy, kendalltau

from radio.schema import InputError
from radio.teachers import Agreement, Confidence, Entropy, Gain, Margin
from tests.teachers.cases import Fixed

OTHER = Fixed([])
KINDS: list[Confidence] = [
    Margin(),
    Margin(over="mean"),
    Entropy(),
    Entropy(temperature=0.5),
    Agreement(OTHER),
    Gain(OTHER),
]


def name(confidence: Confidence) -> str:
    settings = [str(value) for key, value in vars(confidence).items() if key != "teacher"]
    return " ".join([type(confidence).__name__, *settings])


every_kind = pytest.mark.parametrize("confidence", KINDS, ids=name)


def drawn(seed: int) -> tuple[list[float], list[float]]:
    """Scores of two teachers in [0, 1], with ties."""
    rng = random.Random(seed)
    count = rng.choice([2, 3, 8, 20])
    return [round(rng.random(), 1) for _ in range(count)], [
        round(rng.random(), 1) for _ in range(count)
    ]


def oracle(confidence: Confidence, scores: list[float], second: list[float]) -> float:
    found = np.array(scores)
    order = np.sort(found)
    if isinstance(confidence, Margin):
        return order[-1] - (order[-2] if confidence.over == "second" else found.mean())
    if isinstance(confidence, Entropy):
        if len(set(scores)) == 1:
            return 0.0
        return 1 - entropy(softmax(found / confidence.temperature)) / math.log(len(found))
    if isinstance(confidence, Agreement):
        tau = kendalltau(scores, second).statistic
        return 0.0 if math.isnan(tau) else (1 + tau) / 2
    gains = 2 * np.array(second) - 1
    return min(1, max(0, gains[found == found.max()].mean()))


@every_kind
def test_weights_equal_an_independent_oracle_in_any_order(confidence: Confidence) -> None:
    for seed in range(40):
        scores, second = drawn(seed)
        weight = confidence.weigh(scores, second)
        assert 0 <= weight <= 1
        assert weight == pytest.approx(oracle(confidence, scores, second), abs=1e-12)
        order = random.Random(seed).sample(range(len(scores)), len(scores))
        moved = confidence.weigh([scores[i] for i in order], [second[i] for i in order])
        assert moved == pytest.approx(weight, abs=1e-12)


@every_kind
def test_without_a_preference_nothing_is_learned(confidence: Confidence) -> None:
    for count in (1, 2, 3, 7):
        tied = [0.1] * count
        assert confidence.weigh(tied, [0.3] * count) == 0
    assert confidence.weigh([], []) == 0


def test_a_sure_teacher_weighs_more() -> None:
    assert Margin().weigh([1, 0, 0.2]) == 0.8
    assert Margin().weigh([1, 0, 1]) == 0
    assert Margin("mean").weigh([1, 0, 0.2]) == pytest.approx(0.6)
    assert Entropy(0.001).weigh([1, 0, 0.2]) == 1
    assert Entropy().weigh([1, 0, 0.2]) > Entropy().weigh([1, 0, 0.9]) > 0


def test_agreement_goes_from_the_reverse_to_the_same_order() -> None:
    agreement = Agreement(OTHER)
    assert agreement.weigh([1, 2, 3], [10, 20, 21]) == 1
    assert agreement.weigh([1, 2, 3], [3, 2, 1]) == 0
    assert agreement.weigh([1, 2, 3], [0.5, 0.5, 0.5]) == 0
    assert agreement.teacher is OTHER


def test_gain_is_that_of_the_passage_which_the_teacher_prefers() -> None:
    gain = Gain(OTHER)
    assert gain.weigh([0.2, 0.9], [1.0, 0.8]) == pytest.approx(0.6)
    # it misleads the reader
    assert gain.weigh([0.2, 0.9], [1.0, 0.3]) == 0
    # two that are equally good to the teacher
    assert gain.weigh([0.9, 0.9], [1.0, 0.8]) == pytest.approx(0.8)
    # one candidate can make an answer likely
    assert gain.weigh([0.5], [0.75]) == 0.5


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(
        InputError, match="Margin: over: found 'third', expected 'second' or 'mean'"
    ):
        Margin("third")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Entropy: temperature: found 0, expected a number above"):
        Entropy(0)


def test_the_settings_and_the_second_teacher_are_in_the_key() -> None:
    class Own(Confidence):
        def weigh(self, scores: object, second: object = ()) -> float:
            return 1.0

    kinds = [*KINDS, Agreement(Fixed([1])), Own()]
    assert len({kind.fingerprint() for kind in kinds}) == len(kinds)
