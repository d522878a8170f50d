"""Curves and intervals as SVG: where each point stands. The template draws them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from radio.comparing.choosing import Comparison
from radio.comparing.comparison import Mean
from radio.comparing.reading import RunResults
from radio.comparing.rows import Row
from radio.evaluation.measure import at_depths
from radio.evaluation.systems import CLOSED_BOOK
from radio.reporting.story import percent
from radio.schema import InputError

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 92, 14, 36
"""Margins of a chart: at the right stand the names of the lines."""

LINE = 15
"""Height of a line of text."""

MOST_POINTS = 300
"""Of a line: more cannot be told apart."""

DODGE = 4
"""Between intervals of different lines at one place."""

FOREST = 200
"""Width of an interval in a table's cell."""

COLOURS = {"retriever": "retriever", "base": "base", "tuned": "tuned", "teacher": "teacher"}
OTHERS = 4
"""Further colours, taken in turn."""


class Point(NamedTuple):
    """A value, its interval if it has one, and what a reader is told of it."""

    x: float
    y: float
    low: float | None
    high: float | None
    title: str


class Line(NamedTuple):
    """Points of one system, in the plot's own units."""

    name: str
    colour: str
    points: Sequence[Point]
    path: str
    label: float
    """Where its name stands, from the top."""


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Chart(NamedTuple):
    """A plot with lines."""

    title: str
    about: str
    """What it shows, for those who do not see it."""
    x_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    limit: Tick | None = None
    """A value across that is told apart from others."""


class Value(NamedTuple):
    """A point in the units of the data, with its interval if it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


def colours(rows: Sequence[Row]) -> dict[str, str]:
    """A class of colour for each row; systems have the same one on every page, as far as they
    can."""
    found: dict[str, str] = {}
    for row in rows:
        known = COLOURS.get(row.system)
        if known is None or known in found.values():
            known = f"other{len(found) % OTHERS}"
        found[row.name] = known
    return found


def curves_by_depth(comparison: Comparison, palette: Mapping[str, str]) -> list[Chart]:
    """A chart for each measure that was taken at several depths."""
    charts = []
    for name, measures in at_depths(comparison.measures).items():
        order = list(measures)
        lines = {}
        for row in comparison.rows:
            means = [comparison.figures.means[measures[depth]].get(row.name) for depth in order]
            points = [_value(place, mean) for place, mean in enumerate(means)]
            # without passages there is no depth
            if row.system != CLOSED_BOOK and any(points):
                lines[row.name] = [point for point in points if point is not None]
        heights = {point.y for points in lines.values() for point in points}
        # what is the same everywhere needs no picture
        if len(heights) > 1:
            labels = [(place, str(depth)) for place, depth in enumerate(order)]
            charts.append(chart_of(name, "passages that are read", lines, palette, labels))
    return charts


def _value(x: float, mean: Mean | None) -> Value | None:
    return (
        None if mean is None or math.isnan(mean.mean) else Value(x, mean.mean, mean.low, mean.high)
    )


def training_curves(runs: Sequence[RunResults], split: str, measure: str) -> list[Chart]:
    """The loss of each run by step, and the primary measure where it was taken more than once."""
    titles = {
        "train/loss": "training loss",
        f"{split}/{measure}": f"{measure} on {split} while training",
    }
    charts = []
    for column, title in titles.items():
        lines: dict[str, list[Value]] = {}
        for run in runs:
            values = logged(run, column)
            if len(values) > 1:
                # the only line needs no other name
                name = run.name if len(runs) > 1 else "tuned"
                lines[name] = [Value(*value) for value in _thinned(values)]
        if lines:
            palette = {name: f"other{place % OTHERS}" for place, name in enumerate(lines)}
            palette |= {"tuned": "tuned"}
            last = max(value.x for values in lines.values() for value in values)
            ticks = [(x, f"{x:,.0f}") for x in steps_between(0, last)]
            in_percent = column != "train/loss"
            charts.append(chart_of(title, "step", lines, palette, ticks, in_percent=in_percent))
    return charts


def logged(run: RunResults, column: str) -> list[tuple[float, float]]:
    """Step and value of a column of ``metrics.csv``.

    Raises:
        InputError: it is damaged.
    """
    path = run.folder / "metrics.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            (float(row["step"]), float(row[column]))
            for row in rows
            if row.get(column) and math.isfinite(float(row[column]))
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not what radio wrote ({error}); move it away") from None


def _thinned(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours, where there are more points than can be told apart."""
    size = math.ceil(len(values) / MOST_POINTS)
    found = []
    for start in range(0, len(values), size):
        part = values[start : start + size]
        found.append((part[-1][0], sum(y for _, y in part) / len(part)))
    return found


def chart_of(
    title: str,
    x_label: str,
    lines: Mapping[str, Sequence[Value]],
    palette: Mapping[str, str],
    x_labels: Sequence[tuple[float, str]],
    *,
    in_percent: bool = True,
    limit: tuple[float, str] | None = None,
) -> Chart:
    """A plot of lines, with their names at their ends.

    Args:
        title: of the plot.
        x_label: of the axis across.
        lines: values by name, from left to right.
        palette: class of colour by name.
        x_labels: where the axis across has a label, and which.
        in_percent: whether values are shares.
        limit: a value across that is marked, and what it is called.
    """
    values = [value for points in lines.values() for value in points]
    ys = [y for value in values for y in value[1:] if y is not None]
    y_steps = steps_between(min(ys), max(ys))
    marked = [] if limit is None else [limit[0]]
    across = _Scale(
        [x for x, _ in x_labels], LEFT, WIDTH - RIGHT, outer=[*marked, *(one.x for one in values)]
    )
    up = _Scale(y_steps, HEIGHT - BOTTOM, TOP, outer=ys)
    write = percent if in_percent else "{:.3g}".format
    drawn = []
    for number, (name, points) in enumerate(lines.items()):
        # side by side, so that no interval hides another one
        aside = DODGE * (number - (len(lines) - 1) / 2) if points[0].low is not None else 0.0
        placed = [
            Point(
                across(x) + aside,
                up(y),
                None if low is None else up(low),
                None if high is None else up(high),
                _title(name, write(y), low, high),
            )
            for x, y, low, high in points
        ]
        path = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in placed)
        # points are drawn where they are few
        shown = placed if len(placed) <= 12 else []
        drawn.append(Line(name, palette[name], shown, path, placed[-1].y))
    ends = "; ".join(f"{name} ends at {write(points[-1].y)}" for name, points in lines.items())
    return Chart(
        title,
        f"{title} by {x_label}: {ends}",
        x_label,
        _apart(drawn),
        [Tick(across(x), label) for x, label in x_labels],
        [Tick(up(y), write(y) if in_percent else f"{y:g}") for y in y_steps],
        None if limit is None else Tick(across(limit[0]), limit[1]),
    )


def _title(name: str, value: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{name}: {value}"
    return f"{name}: {value} [{percent(low)}, {percent(high)}]"


def _apart(lines: Sequence[Line]) -> list[Line]:
    """Names of lines moved so far apart that each can be read."""
    ordered = sorted(lines, key=lambda line: line.label)
    places = [line.label for line in ordered]
    for number in range(1, len(places)):
        places[number] = max(places[number], places[number - 1] + LINE)
    # back from the bottom, as far as that has pushed them over it
    lowest: float = HEIGHT - BOTTOM
    for number in reversed(range(len(places))):
        places[number] = min(places[number], lowest)
        lowest = places[number] - LINE
    return [line._replace(label=place) for line, place in zip(ordered, places, strict=True)]


class _Scale:
    """From the units of the data to those of the picture."""

    def __init__(
        self, steps: Sequence[float], start: float, end: float, outer: Sequence[float]
    ) -> None:
        self._low = min([*steps, *outer])
        self._span = (max([*steps, *outer]) - self._low) or 1.0
        self._start = start
        self._length = end - start

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) / self._span * self._length


def steps_between(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers for an axis, at most so many, that begin at or below and end at or above."""
    span = (high - low) or abs(high) or 1.0
    raw = span / (most - 1)
    size = 10 ** math.floor(math.log10(raw))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = factor * size
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [round(number * step, 12) for number in range(first, last + 1)]


class Forest(NamedTuple):
    """Intervals of differences on one scale, as cells of a table."""

    zero: float
    ticks: Sequence[Tick]
    cells: Mapping[str, tuple[float, float, float]]
    """By name: low, value and high, from the left."""


def forest(intervals: Mapping[str, tuple[float, float, float]], sign: str = "+") -> Forest:
    """Place intervals (low, value, high) of differences; with ``sign=""`` of shares."""
    found = [edge for interval in intervals.values() for edge in interval]
    found = [edge for edge in found if math.isfinite(edge)]
    steps = steps_between(min([0.0, *found]), max([0.0, *found]) or 0.01, most=4)
    scale = _Scale(steps, 12, FOREST - 12, outer=found)
    cells = {}
    for name, interval in intervals.items():
        if all(map(math.isfinite, interval)):
            low, value, high = (scale(edge) for edge in interval)
            cells[name] = low, value, high
    return Forest(
        scale(0.0), [Tick(scale(x), f"{100 * x:{sign}.3g}" if x else "0") for x in steps], cells
    )
