"""Confidence: how far a teacher is trusted for one question, the weight of that question in the
loss."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np

from radio.fingerprints import Fingerprinted
from radio.normalising import entropy, softmax
from radio.ranges import check
from radio.schema import InputError
from radio.teachers.base import Teacher


class Confidence(Fingerprinted):
    """A weight in [0, 1] for each training question, from its teacher scores. A subclass implements
    :meth:`weigh`."""

    teacher: Teacher | None = None
    """A second teacher, whose scores :meth:`weigh` is given too; they are prepared and kept as
    those of the first."""

    @abstractmethod
    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        """The weight of a question: 0 teaches nothing, 1 all.

        Args:
            scores: by the teacher, for each candidate, in [0, 1].
            second: by :attr:`teacher`, for the same candidates; empty if there is none.
        """


class Margin(Confidence):
    """How far the best candidate leads: ``best - second best``, or ``best - mean``.

    In [0, 1], since scores are. 0 where the best is shared, with a single candidate, and with
    ``mean`` where all tie. The scores of a distribution, such as a blend by ``softmax``, lead by
    little: only the proportions of the weights count.

    Args:
        over: ``second``, or the ``mean`` over all candidates.
    """

    identity = "Margin"

    def __init__(self, over: Literal["second", "mean"] = "second") -> None:
        if over not in ("second", "mean"):
            raise InputError(f"Margin: over: found {over!r}, expected 'second' or 'mean'")
        self.over = over

    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        if _is_tied(scores):
            return 0.0
        best, next_best = sorted(scores, reverse=True)[:2]
        if self.over == "second":
            return best - next_best
        return best - math.fsum(scores) / len(scores)


class Entropy(Confidence):
    """How peaked the scores are: ``1 - entropy(softmax(scores / temperature)) / log n``.

    0 where all candidates tie, or for a single one; 1 where the softmax has a single peak.

    Args:
        temperature: T > 0; scores lie in [0, 1], so 1 is almost flat and 0.1 tells.
    """

    identity = "Entropy"

    def __init__(self, temperature: float = 0.1) -> None:
        check(self, locals())
        self.temperature = temperature

    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        if _is_tied(scores):
            return 0.0
        found = entropy(softmax(scores, self.temperature)) / math.log(len(scores))
        return min(1.0, max(0.0, 1 - found))


class Agreement(Confidence):
    """Whether a second teacher orders the candidates alike: ``(1 + tau) / 2``.

    tau is Kendall's tau-b of the two lists of scores, which allows for ties: ``(concordant -
    discordant) / sqrt(pairs not tied in the first * pairs not tied in the second)``. 1 is the same
    order, 0.5 no relation, 0 the reverse; also 0 where one of the two has no order (all candidates
    tie, or a single one), which leaves tau undefined.

    Args:
        teacher: the second teacher; take one that knows something else than the first.
    """

    identity = "Agreement"

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        if _is_tied(scores) or _is_tied(second):
            return 0.0
        # 1, 0 or -1 for each pair, which stands here twice
        first_order = np.sign(np.subtract.outer(scores, scores))
        second_order = np.sign(np.subtract.outer(second, second))
        agreeing = float((first_order * second_order).sum())
        in_first, in_second = np.abs(first_order).sum(), np.abs(second_order).sum()
        tau = agreeing / math.sqrt(in_first * in_second)
        return min(1.0, max(0.0, (1 + tau) / 2))


class Gain(Confidence):
    """How much likelier the teacher's best passage makes the answer: ``p(y | q, d) - p(y | q)``.

    Clipped to [0, 1]: a passage that the generator does not need, or that misleads it, teaches
    nothing, and neither does a question that it knows by itself (InfoGain-RAG, arXiv 2509.12765).
    The gain is that of the candidate which the data module's teacher likes best, the mean of those
    that share the best score; no candidate is 0.

    Args:
        teacher: gives ``(1 + gain) / 2`` for each candidate, as ``LikelihoodGain`` does. It may be
            the data module's own, whose scores are not computed twice.
    """

    identity = "Gain"

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher

    def weigh(self, scores: Sequence[float], second: Sequence[float] = ()) -> float:
        best = max(scores, default=0.0)
        gains = []
        for score, other in zip(scores, second, strict=True):
            if score == best:
                gains.append(2 * other - 1)
        if not gains:
            return 0.0
        return min(1.0, max(0.0, math.fsum(gains) / len(gains)))


def _is_tied(scores: Sequence[float]) -> bool:
    """Whether no candidate is better than another."""
    return len(set(scores)) < 2
