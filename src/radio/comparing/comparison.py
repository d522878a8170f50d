"""Systems against a baseline, measure by measure: means, differences, and what they show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radio.comparing.intervals import Column, Contrast, two_level_intervals
from radio.comparing.rows import Row
from radio.evaluation.measure import is_an_error
from radio.evaluation.statistics import holm, sign_flip_tests
from radio.schema import InputError

LEVEL = 0.05
"""Below which a corrected p-value shows a difference."""

POWER = 0.8
"""With which the smallest difference that could be shown would be."""

ROUNDING = 1e-9
"""Differences up to it are those of rounding: means over seeds whose sums have another order."""


@dataclass(frozen=True)
class Mean:
    """A measure of a system, over questions and seeds.

    Args:
        mean: over both.
        low: of the 95 % interval of the bootstrap of seeds and questions.
        high: of it.
        questions: that have the measure.
        by_seed: mean over the questions, for each seed.
    """

    mean: float
    low: float
    high: float
    questions: int
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """A measure of a system minus that of the baseline, for the same questions.

    Args:
        difference: of the means.
        low: of the 95 % interval of the bootstrap of seeds and questions.
        high: of it.
        questions: that both have.
        p_value: of the sign-flip test over the questions, on their means over the seeds.
        p_holm: corrected for all systems that are compared by this measure.
        effect: mean of the differences by their standard deviation; NaN where they do not differ.
        won: questions on which the system is better.
        tied: on which it is neither.
        lost: on which the baseline is.
        detectable: the smallest difference that so many questions show with a probability of
            :data:`POWER`, at the level of the first step of Holm; NaN where nothing differs.
    """

    difference: float
    low: float
    high: float
    questions: int
    p_value: float
    p_holm: float
    effect: float
    won: int
    tied: int
    lost: int
    detectable: float

    @property
    def shown(self) -> bool:
        """Whether test and interval both show that the two differ: the test does not know how much
        trainings differ, the interval not how many comparisons there are."""
        return self.p_holm < LEVEL and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Figures:
    """What a comparison finds, by measure and name of the row.

    Args:
        means: of rows that have the measure.
        differences: to the baseline, of the other rows that share questions with it. Those of one
            measure are a family, for which their p-values are corrected.
    """

    means: Mapping[str, Mapping[str, Mean]]
    differences: Mapping[str, Mapping[str, Difference]]


def figures(
    rows: Sequence[Row],
    baseline: Row,
    measures: Sequence[str],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> Figures:
    """Compare each row with the baseline by each measure.

    Args:
        rows: the systems, of the same questions.
        baseline: one of them.
        measures: what they are compared by.
        draws: resamples of the bootstrap, and random assignments of the test.
        seed: of both.

    Raises:
        InputError: two rows have one name, so that the figures of one would be lost.
    """
    _refuse_one_name(rows)
    single, paired = _contrasts(rows, baseline, measures)
    contrasts = [*single.values(), *paired.values()]
    intervals = two_level_intervals(contrasts, resamples=draws, seed=seed)
    means: dict[str, dict[str, Mean]] = {measure: {} for measure in measures}
    for ((measure, name), contrast), interval in zip(single.items(), intervals, strict=False):
        means[measure][name] = _mean(contrast, interval)
    samples = [_by_question(contrast) for contrast in paired.values()]
    p_values = sign_flip_tests(samples, resamples=draws, seed=seed)
    families: dict[str, list[_Tested]] = {measure: [] for measure in measures}
    of_pairs = intervals[len(single) :]
    for place, sample, p_value, interval in zip(paired, samples, p_values, of_pairs, strict=True):
        measure, name = place
        families[measure].append(_Tested(name, sample, p_value, interval))
    differences = {measure: _family(measure, family) for measure, family in families.items()}
    return Figures(means, differences)


def _refuse_one_name(rows: Sequence[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row.name, row)
        if other is not row:
            raise InputError(
                f"found two systems of the name {row.name!r}, {_whose(other)} and {_whose(row)}, "
                "of which one would get the figures of the other; give their runs other names "
                "(--group NAME=RUN,RUN)"
            )


def _whose(row: Row) -> str:
    runs = [run.name for group in row.groups for run in group.runs]
    return f"{row.system} of {', '.join(runs)}"


class _Tested(NamedTuple):
    """A difference before its p-value is corrected."""

    row: str
    by_question: NDArray[np.float64]
    p_value: float
    interval: tuple[float, float]


Contrasts = dict[tuple[str, str], Contrast]
"""By measure and name of the row."""


def _contrasts(
    rows: Sequence[Row], baseline: Row, measures: Sequence[str]
) -> tuple[Contrasts, Contrasts]:
    """The means, and the differences to the baseline."""
    single: Contrasts = {}
    paired: Contrasts = {}
    for measure in measures:
        columns = {}
        for row in rows:
            if measure in row.columns:
                columns[row.name] = Column(row.columns[measure], row.groups[0].name)
        for name, column in columns.items():
            single[measure, name] = Contrast(column)
            if name == baseline.name or baseline.name not in columns:
                continue
            contrast = Contrast(column, columns[baseline.name])
            if contrast.questions.any():
                paired[measure, name] = contrast
    return single, paired


def _by_question(contrast: Contrast) -> NDArray[np.float64]:
    """Differences of the means over the seeds, for each question that both have."""
    first, second = (column.values.mean(axis=0) for column in contrast.columns)
    found: NDArray[np.float64] = (first - second)[contrast.questions]
    return found


def _family(measure: str, members: Sequence[_Tested]) -> dict[str, Difference]:
    """The differences of one measure by row."""
    corrected = holm([member.p_value for member in members])
    found = {}
    for (name, values, p_value, interval), p_holm in zip(members, corrected, strict=True):
        # what is better counts as won
        sign = -1 if is_an_error(measure) else 1
        won = int((sign * values > ROUNDING).sum())
        lost = int((sign * values < -ROUNDING).sum())
        mean, spread = float(values.mean()), _spread(values)
        found[name] = Difference(
            mean,
            *interval,
            questions=len(values),
            p_value=p_value,
            p_holm=p_holm,
            effect=mean / spread,
            won=won,
            tied=len(values) - won - lost,
            lost=lost,
            detectable=detectable(spread, len(values), len(members)),
        )
    return found


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation of differences; NaN where they do not differ."""
    if len(values) < 2:
        return math.nan
    spread = float(values.std(ddof=1))
    return spread if spread > ROUNDING else math.nan


def _mean(contrast: Contrast, interval: tuple[float, float]) -> Mean:
    values = contrast.first.values[:, contrast.questions]
    count = values.shape[1]
    by_seed = values.mean(axis=1) if count else np.full(len(values), math.nan)
    return Mean(float(by_seed.mean()), *interval, count, tuple(by_seed.tolist()))


def detectable(spread: float, questions: int, comparisons: int = 1) -> float:
    """The smallest difference that is shown with a probability of :data:`POWER`.

    Args:
        spread: standard deviation of the paired differences.
        questions: how many they are.
        comparisons: in the family: the strictest level of Holm's procedure is taken, which the
            smallest p-value has to meet.
    """
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - LEVEL / (2 * comparisons)) + normal.inv_cdf(POWER)
    return quantiles * spread / math.sqrt(questions)
