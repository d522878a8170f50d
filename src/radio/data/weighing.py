"""Weights of the training questions: how far the teacher is trusted for each."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from copy import copy

from lightning.pytorch.utilities import rank_zero_info

from radio import contracts
from radio.data.prepare import Preparation
from radio.data.tables import Examples, Taught
from radio.losses import Loss
from radio.schema import Example, InputError
from radio.teachers import Confidence


def check_loss(confidence: Confidence | None, loss: Loss) -> None:
    """Refuse a loss that takes no weights where there are some.

    Raises:
        InputError: names both.
    """
    if confidence is not None and not loss.takes_weights:
        kind, name = type(loss).__name__, type(confidence).__name__
        raise InputError(
            f"{kind} and {name}: found a loss, or a part of one, whose __call__ has no argument "
            "weights, expected one for the confidence to weigh its questions: def __call__(self, "
            "scores, targets, mask, weights=None), handed on to mean_per_question or "
            "sum_per_question of radio.losses.base; or take no confidence "
            "(--data.init_args.confidence null)"
        )


def fill(preparation: Preparation, confidence: Confidence | None) -> None:
    """Obtain what the cache lacks of a second teacher, for the training questions."""
    if confidence is not None and confidence.teacher is not None:
        _of_second(preparation, confidence).fill(["train"])


def weighed(
    preparation: Preparation, confidence: Confidence | None, examples: Examples
) -> Examples:
    """Training examples, which have teacher scores, with their weights; what they are is said.

    A question that the second teacher can not score, since it has no rationale, weighs 0.

    Raises:
        Missing: the cache lacks scores of the second teacher.
        InputError: a weight is no number in [0, 1], or all are 0.
    """
    if confidence is None:
        return examples
    seconds: Taught = {}
    if confidence.teacher is not None:
        seconds = _of_second(preparation, confidence).examples("train").scores
    weights = array("d")
    for example in examples:
        second = seconds.get(example.question.id, {})
        able = confidence.teacher is None or second
        weights.append(_weight(confidence, example, second) if able else 0.0)
    _show(confidence, weights)
    return examples.weighted(weights)


def _of_second(preparation: Preparation, confidence: Confidence) -> Preparation:
    """The same preparation for the teacher that a confidence compares with."""
    assert confidence.teacher is not None
    # candidates, once read, are those of both
    second = copy(preparation)
    second.teacher = confidence.teacher
    return second


def _weight(confidence: Confidence, example: Example, second: Mapping[str, float]) -> float:
    scores = example.teacher or {}
    others = [second[passage] for passage in scores] if second else []
    value = confidence.weigh(list(scores.values()), others)
    return contracts.weight(confidence, example.question, value)


def _show(confidence: Confidence, weights: array[float]) -> None:
    """A line about the weights of the training questions."""
    nothing = weights.count(0.0)
    name, count = type(confidence).__name__, len(weights)
    if nothing == count:
        raise InputError(
            f"train: {name} gives all {count} questions weight 0, nothing to train on: look at the "
            "teacher's scores, or take no confidence (--data.init_args.confidence null)"
        )
    rank_zero_info(
        f"train: {name} weighs {count} questions, {math.fsum(weights) / count:.3f} on average; "
        f"{nothing} weigh 0 and teach nothing"
    )
