"""Means, differences and tests, against scipy, statsmodels and their definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from radio.comparing.comparison import detectable, figures
from radio.comparing.grouping import Group
from radio.comparing.reading import RunResults
from radio.comparing.rows import Row
from radio.evaluation.statistics import bootstrap_interval
from radio.schema import InputError

QUESTIONS = 80


def row(name: str, seeds: int = 1, **columns: NDArray[np.float64]) -> Row:
    runs = tuple(RunResults(Path(f"{name}-{n}"), f"{name}-{n}", {}, {}, {}) for n in range(seeds))
    return Row(name, name, (Group(name, runs),), columns)


def right(share: float, seed: int, seeds: int = 1) -> NDArray[np.float64]:
    return (np.random.default_rng(seed).random((seeds, QUESTIONS)) < share).astype(float)


BASE = row("base", em=right(0.4, 0), f1=np.random.default_rng(9).random((1, QUESTIONS)))
OURS = row("ours", 3, em=right(0.6, 1, 3))
SAME = row("same", em=BASE.columns["em"])
LESS = row("less", em=right(0.3, 2), f1=np.random.default_rng(8).random((1, QUESTIONS)))


def test_differences_are_those_of_scipy_and_statsmodels() -> None:
    found = figures([BASE, OURS, SAME, LESS], BASE, ["em", "f1"], draws=9_999)
    family = found.differences["em"]
    assert list(family) == ["ours", "same", "less"]
    p_values = []
    for system in (OURS, SAME, LESS):
        first, second = (one.columns["em"].mean(axis=0) for one in (system, BASE))
        test = stats.permutation_test(
            (first, second),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=9_999,
            rng=np.random.default_rng(0),
        )
        p_values.append(float(test.pvalue))
        one, differences = family[system.name], first - second
        assert one.difference == pytest.approx(differences.mean())
        assert (one.won, one.lost) == ((differences > 0).sum(), (differences < 0).sum())
        assert one.won + one.tied + one.lost == one.questions == QUESTIONS
    assert [one.p_value for one in family.values()] == p_values
    holm = multipletests(p_values, method="holm")[1]
    assert [one.p_holm for one in family.values()] == pytest.approx(holm)
    # each measure is a family of its own
    assert found.differences["f1"]["less"].p_holm == found.differences["f1"]["less"].p_value
    t = stats.ttest_rel(LESS.columns["em"][0], BASE.columns["em"][0]).statistic
    assert family["less"].effect == pytest.approx(t / math.sqrt(QUESTIONS))
    interval = bootstrap_interval(LESS.columns["em"][0] - BASE.columns["em"][0], resamples=9_999)
    assert (family["less"].low, family["less"].high) == pytest.approx(interval)


def test_means_are_over_seeds_and_questions() -> None:
    found = figures([BASE, OURS], BASE, ["em", "f1"])
    assert found.means["em"]["ours"].mean == pytest.approx(OURS.columns["em"].mean())
    assert found.means["em"]["ours"].by_seed == pytest.approx(OURS.columns["em"].mean(axis=1))
    assert found.means["em"]["ours"].low < found.means["em"]["ours"].mean
    assert found.means["em"]["base"].by_seed == (found.means["em"]["base"].mean,)
    assert list(found.means["f1"]) == ["base"]
    assert found.differences["f1"] == {}


def test_what_does_not_differ_has_no_effect_and_is_not_shown() -> None:
    same = figures([BASE, SAME], BASE, ["em"]).differences["em"]["same"]
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert math.isnan(same.effect)
    assert math.isnan(same.detectable)
    assert (same.won, same.tied, same.lost, same.shown) == (0, QUESTIONS, 0, False)


def test_of_an_error_less_is_better() -> None:
    base, ours = row("base", made_wrong=right(0.9, 4)), row("ours", made_wrong=right(0.1, 5))
    found = figures([base, ours], base, ["made_wrong"]).differences["made_wrong"]["ours"]
    assert found.difference < 0
    assert found.won > found.lost
    assert found.shown


def test_sums_of_seeds_in_another_order_are_a_tie() -> None:
    values = np.array([[0.1], [0.2], [0.3]]).repeat(5, axis=1)
    base, ours = row("base", 3, f1=values), row("ours", 3, f1=values[[2, 0, 1]])
    found = figures([base, ours], base, ["f1"]).differences["f1"]["ours"]
    assert (found.won, found.tied, found.lost) == (0, 5, 0)
    assert math.isnan(found.effect)


def test_a_difference_is_over_the_questions_that_both_have() -> None:
    values = right(0.5, 6)
    values[0, 50:] = np.nan
    some = row("some", em=values)
    found = figures([BASE, some], BASE, ["em"])
    assert found.means["em"]["some"].questions == 50
    assert found.means["em"]["base"].questions == QUESTIONS
    difference = found.differences["em"]["some"]
    expected = (values[0, :50] - BASE.columns["em"][0, :50]).mean()
    assert (difference.questions, difference.difference) == (50, pytest.approx(expected))
    none = row("none", em=np.full((1, QUESTIONS), np.nan))
    assert "none" not in figures([BASE, none], BASE, ["em"]).differences["em"]
    assert math.isnan(figures([BASE, none], BASE, ["em"]).means["em"]["none"].mean)


@pytest.mark.parametrize("comparisons", [1, 4])
def test_the_smallest_difference_has_the_power_that_it_says(comparisons: int) -> None:
    smallest = detectable(0.5, 3610, comparisons)
    power = TTestPower().power(smallest / 0.5, 3610, 0.05 / comparisons)
    assert power == pytest.approx(0.8, abs=0.002)
    # 2.8 standard errors, and 3.34 for the first of four
    errors = smallest / (0.5 / math.sqrt(3610))
    assert errors == pytest.approx(2.80 if comparisons == 1 else 3.34, abs=0.005)


def test_trainings_that_differ_show_nothing_however_many_questions_there_are() -> None:
    rng = np.random.default_rng(13)
    level = np.array([[0.4], [0.5], [0.6]])
    base = row("base", 3, em=(rng.random((3, 2000)) < level[[0, 1, 1]]).astype(float))
    ours = row("ours", 3, em=(rng.random((3, 2000)) < level[[0, 1, 2]]).astype(float))
    found = figures([base, ours], base, ["em"], draws=1_000).differences["em"]["ours"]
    assert found.p_holm < 0.05
    assert found.low < 0 < found.high
    assert not found.shown


def test_of_null_comparisons_one_in_twenty_is_shown() -> None:
    rng = np.random.default_rng(12)
    systems = [row(f"s{n}", em=(rng.random((1, 100)) < 0.3).astype(float)) for n in range(120)]
    shown = 0
    for first, second in zip(systems[::2], systems[1::2], strict=True):
        found = figures([first, second], first, ["em"], draws=400)
        shown += found.differences["em"][second.name].shown
    # 3 are expected of 60
    assert 0 <= shown <= 8


def test_two_rows_of_one_name_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"found two systems of the name 'ours', ours of ours-0, ours-1, ours-2 and ours of "
        r"ours-0, .*--group NAME=RUN,RUN",
    ):
        figures([BASE, OURS, row("ours", em=right(0.1, 5))], BASE, ["em"])
