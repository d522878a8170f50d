"""The tables of the page: all systems by the primary measure, all measures, gains by group."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from radio.comparing.choosing import Comparison
from radio.comparing.comparison import Difference, Mean
from radio.comparing.rows import Row
from radio.evaluation.measure import is_an_error
from radio.reporting.plots import Forest, forest
from radio.reporting.story import percent

UNKNOWN = "-"


class Shown(NamedTuple):
    """A system by one measure; the baseline has no difference."""

    name: str
    colour: str
    seeds: str
    mean: str
    interval: str
    forest: tuple[float, float, float] | None
    difference: str = ""
    difference_interval: str = ""
    p_value: str = ""
    effect: str = ""
    record: str = ""
    """Won, tied and lost."""
    could_show: str = ""
    """The smallest difference that so many questions would have shown."""
    mark: str = ""
    """``better`` or ``worse`` where a difference is shown, else empty."""


class Compared(NamedTuple):
    """A measure, for all systems."""

    measure: str
    questions: int
    rows: Sequence[Shown]
    forest: Forest


class Gain(NamedTuple):
    """A group of questions by one measure."""

    group: str
    questions: int
    before: str
    after: str
    gain: str
    mark: str
    bar: tuple[float, float]
    """From and to, in a picture 200 wide with 0 in the middle."""


class Gains(NamedTuple):
    """All groups of one kind."""

    measure: str
    moved: Sequence[Gain]
    """The greatest gain first."""
    unmoved: Sequence[Gain]


def compared(comparison: Comparison, measure: str, palette: Mapping[str, str]) -> Compared:
    """One measure of all systems that have it."""
    differences = comparison.figures.differences[measure]
    intervals = {name: (d.low, d.difference, d.high) for name, d in differences.items()}
    placed = forest(intervals)
    shown, most = [], 0
    for row in comparison.rows:
        mean = comparison.figures.means[measure].get(row.name)
        if mean is None:
            continue
        most = max(most, mean.questions)
        shown.append(_shown(row, mean, differences.get(row.name), measure, palette, placed))
    return Compared(measure, most, shown, placed)


def _shown(
    row: Row,
    mean: Mean,
    difference: Difference | None,
    measure: str,
    palette: Mapping[str, str],
    placed: Forest,
) -> Shown:
    known = [value for value in mean.by_seed if not math.isnan(value)]
    several = len(known) > 1
    shown = Shown(
        name=row.name,
        colour=palette[row.name],
        seeds=f"{len(known)}: {percent(min(known))} to {percent(max(known))}" if several else "",
        mean=percent(mean.mean),
        interval=_interval(mean.low, mean.high, percent),
        forest=placed.cells.get(row.name),
    )
    if difference is None:
        return shown
    return shown._replace(
        difference=signed(difference.difference),
        difference_interval=_interval(difference.low, difference.high, signed),
        p_value=p_value(difference.p_holm),
        effect=_plain(difference.effect, "{:+.2f}".format),
        record=f"{difference.won:,} / {difference.tied:,} / {difference.lost:,}",
        could_show=_plain(difference.detectable, percent),
        mark=_mark(difference, measure),
    )


def _mark(difference: Difference, measure: str) -> str:
    if not difference.shown:
        return ""
    return "better" if (difference.difference > 0) != is_an_error(measure) else "worse"


def gains(rows: tuple[Row, Row], split: str) -> list[Gains]:
    """Means of groups of questions, before and after, as the runs have noted them: the greatest
    gain first."""
    before, after = (_breakdown(row, split) for row in rows)
    found = []
    for name in [name for name in before if name in after]:
        sign = -1 if is_an_error(name) else 1
        moved = []
        for group, (count, one) in before[name].items():
            if group in after[name]:
                other = after[name][group][1]
                moved.append((sign * (other - one), group, count, one, other))
        moved.sort(key=lambda entry: (-entry[0], entry[1]))
        widest = max((abs(gain) for gain, *_ in moved), default=0.0) or 1.0
        groups = [
            Gain(
                group,
                count,
                percent(one),
                percent(other),
                signed(other - one),
                "better" if gain > 0 else "worse" if gain < 0 else "",
                (100 + 90 * min(0, gain / widest), 100 + 90 * max(0, gain / widest)),
            )
            for gain, group, count, one, other in moved
        ]
        found.append(
            Gains(
                name,
                [group for group in groups if group.mark],
                [group for group in groups if not group.mark],
            )
        )
    return found


Breakdown = dict[str, dict[str, tuple[int, float]]]
"""Measure -> group -> questions and mean."""


def _breakdown(row: Row, split: str) -> Breakdown:
    """Means over the runs of a row."""
    runs = row.groups[0].runs if row.trained else row.groups[0].runs[:1]
    parts = [(run.note("breakdown", split) or {}).get(row.system, {}) for run in runs]
    found: Breakdown = {}
    for name in parts[0]:
        found[name] = {}
        for group, first in parts[0][name].items():
            values = [part[name][group]["mean"] for part in parts if group in part.get(name, {})]
            found[name][group] = int(first["questions"]), sum(values) / len(values)
    return found


def ordered(measures: Sequence[str]) -> Iterator[str]:
    """Measures as they are listed: those of answers, then those of the order."""

    def of_answers(measure: str) -> bool:
        return bool(re.search(r"(?:em|f1|accuracy|answer_in_\w+|all_hops)(?:@\d+)?$", measure))

    yield from sorted(measures, key=lambda measure: not of_answers(measure))


def signed(value: float) -> str:
    """In percent with its sign; what rounds to nothing has none."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def p_value(value: float) -> str:
    """To three digits; what is smaller is said to be so."""
    if math.isnan(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _interval(low: float, high: float, write: Callable[[float], str]) -> str:
    return UNKNOWN if math.isnan(low) else f"{write(low)} to {write(high)}"


def _plain(value: float, write: Callable[[float], str]) -> str:
    return UNKNOWN if math.isnan(value) else write(value)
