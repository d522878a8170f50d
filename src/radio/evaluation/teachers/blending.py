"""The orders between two teachers: what each weight of a blend makes of the candidates."""

from __future__ import annotations

from collections.abc import Sequence

from radio.normalising import min_max
from radio.schema import Run

STEPS = 10
"""From the weight 0 to 1."""

WEIGHTS = [step / STEPS for step in range(STEPS + 1)]


def blends(first: Run, second: Run, questions: Sequence[str]) -> dict[float, Run]:
    """``weight * first + (1 - weight) * second``, both min-max normalised per question as
    :class:`radio.teachers.Blend` does, for each of :data:`WEIGHTS`.

    Args:
        first: scores by question and passage.
        second: of the same passages.
        questions: which, by id.
    """
    blended: dict[float, Run] = {weight: {} for weight in WEIGHTS}
    for question in questions:
        passages = list(first[question])
        ones = min_max([first[question][passage] for passage in passages])
        others = min_max([second[question][passage] for passage in passages])
        for weight in WEIGHTS:
            scores = {}
            for passage, one, other in zip(passages, ones, others, strict=True):
                scores[passage] = weight * one + (1 - weight) * other
            blended[weight][question] = scores
    return blended
