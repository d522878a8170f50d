"""Plots of the page about teachers, each an SVG with its message in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from radio.evaluation.teachers.measure import SHARE
from radio.evaluation.teachers.table import coefficient, targets
from radio.rationales.plots import BLUE, GREY, ORANGE, Plot, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN = "#3f8f5b"
COLOURS = (BLUE, ORANGE, GREEN, "#7a5ba8", GREY, "#b0413e")

READ = "Generator on the top of a blend"

BASELINES = ("answers", "annotated")
"""Names of those that know what they are judged by."""


def plots(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """The plots of a comparison (:func:`radio.evaluation.teachers.measure.measure`)."""
    made = [_quality(document, metric) for metric in shown_metrics(document)]
    curve = document["curve"]
    if curve is not None:
        for title, metrics in _panels(document):
            made.append(_curve(curve, title, metrics))
    made.append(_agreement(document))
    made.append(_entropies(document, rows))
    return made


def shown_metrics(document: Mapping[str, Any]) -> list[str]:
    """Those that have a plot of their own: the order by each judgement, and what the generators
    make of the most passages."""
    metrics = document["metrics"]
    deepest = f"@{max(document['top_k'])}"
    of_orders = [metric for metric in metrics if metric.endswith("nDCG@5")]
    of_answers = [m for m in metrics if m.endswith((f"em{deepest}", f"accuracy{deepest}"))]
    return [*of_orders, *of_answers]


def _quality(document: Mapping[str, Any], metric: str) -> Plot:
    """Means with their intervals, a row for each teacher."""
    teachers = document["teachers"]
    names = [name for name in teachers if metric in teachers[name]["means"]]
    values = [100 * teachers[name]["means"][metric] for name in names]
    intervals = [teachers[name]["intervals"][metric] for name in names]
    said = []
    for name, value, (low, high) in zip(names, values, intervals, strict=True):
        said.append(f"{name} {value:.1f} [{100 * low:.1f}, {100 * high:.1f}]")

    def draw(axes: Axes) -> None:
        for place, (name, value, (low, high)) in enumerate(
            zip(names, values, intervals, strict=True)
        ):
            colour = GREY if name in (document["reference"], *BASELINES) else BLUE
            axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
            axes.plot([value], [place], "o", color=colour, markersize=6)
            axes.annotate(
                f"{value:.1f}",
                (value, place),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.axvline(values[0], color=GREY, linestyle="--", linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.7)
        axes.set(title=_titled(metric), xlabel="%, with 95 % bootstrap interval")

    message = f"{_titled(metric)} of each teacher in %, with 95 % intervals: {', '.join(said)}."
    return Plot(message, svg(draw, _height(len(names))))


def _titled(metric: str) -> str:
    if metric.startswith("gold_"):
        return f"{metric.removeprefix('gold_')} against annotated passages"
    if "@" in metric and metric.partition("@")[0] in ("RR", "nDCG", "P"):
        return f"{metric} against answers"
    return f"{metric.replace('@', ' with the top ')}, generator"


def _panels(document: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Title and metrics of the plots along the weight: orders, then the generators, of which a
    figure that says the same once more (F1) is left out."""
    metrics = document["metrics"]
    orders = [metric for metric in metrics if metric.endswith(("nDCG@5", "P@1"))]
    answers = [metric for metric in metrics if not metric.endswith(("nDCG@5", "P@1", "RR@10"))]
    answers = [metric for metric in answers if "f1@" not in metric] or answers
    panels = []
    for title, wanted in (("Order of a blend", orders), (READ, answers)):
        points = document["curve"]["points"]
        found = [m for m in wanted if all(m in point["means"] for point in points)]
        if found:
            panels.append((title, found))
    return panels


def _curve(curve: Mapping[str, Any], title: str, metrics: Sequence[str]) -> Plot:
    points = curve["points"]
    weights = [point["weight"] for point in points]
    said = []
    for metric in metrics:
        best = max(points, key=lambda point: point["means"][metric])
        said.append(f"{metric} is best at {best['weight']:.1f}, {100 * best['means'][metric]:.1f}")

    def draw(axes: Axes) -> None:
        for number, metric in enumerate(metrics):
            colour = COLOURS[number % len(COLOURS)]
            values = [100 * point["means"][metric] for point in points]
            lows, highs = zip(*(point["intervals"][metric] for point in points), strict=True)
            axes.plot(weights, values, "o-", color=colour, markersize=3.5, label=metric)
            axes.fill_between(
                weights,
                100 * np.array(lows),
                100 * np.array(highs),
                color=colour,
                alpha=0.08,
                linewidth=0,
            )
        if curve["configured"] is not None:
            axes.axvline(curve["configured"], color=GREY, linestyle=":", label="configured")
        axes.set(
            title=title,
            xlabel=f"weight of {curve['first']} (rest: {curve['second']})",
            ylabel="%",
            xlim=(-0.02, 1.02),
        )
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))

    message = (
        f"{title}: lines over the weight of {curve['first']} against {curve['second']}; "
        f"{', '.join(said)}."
    )
    return Plot(message, svg(draw))


def _agreement(document: Mapping[str, Any]) -> Plot:
    table = document["agreement"]["tau_b"]
    names = list(table)
    values = np.array(
        [[np.nan if v is None else v for v in row.values()] for row in table.values()], dtype=float
    )
    said = []
    for row, one in enumerate(names):
        for column in range(row):
            value = coefficient(table[one][names[column]])
            said.append(f"{one} and {names[column]} {value}")

    def draw(axes: Axes) -> None:
        axes.imshow(values, cmap="Blues", vmin=-0.2, vmax=1.3, aspect="auto")
        for row in range(len(names)):
            for column in range(len(names)):
                value = table[names[row]][names[column]]
                dark = value is not None and value > 0.7
                axes.text(
                    column,
                    row,
                    coefficient(value),
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )
        turn = 30 if len(names) > 4 else 0
        axes.set_xticks(range(len(names)), names, rotation=turn, ha="right" if turn else "center")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title("Agreement: Kendall's tau-b")

    message = f"Kendall's tau-b, mean over the questions: {', '.join(said)}."
    return Plot(message, svg(draw, _height(len(names) + 1)))


def _entropies(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Plot:
    """Quantiles of the entropy of the targets, a row for each teacher."""
    samples: dict[str, list[float]] = {}
    for name in document["teachers"]:
        of_teacher = [row["teachers"].get(name, {}).get(SHARE) for row in rows]
        samples[name] = [100 * share for share in of_teacher if share is not None]
    quantiles = {}
    for name, sample in samples.items():
        if sample:
            quantiles[name] = np.quantile(sample, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist()
    said = [f"{name} {found[2]:.0f} %" for name, found in quantiles.items()]

    def draw(axes: Axes) -> None:
        for place, (low, quarter, middle, three, high) in enumerate(quantiles.values()):
            axes.plot([low, high], [place, place], color=BLUE, linewidth=1.2)
            axes.plot([quarter, three], [place, place], color=BLUE, linewidth=6)
            axes.plot([middle], [place], "|", color=ORANGE, markersize=12, markeredgewidth=2.5)
        axes.set_yticks(range(len(quantiles)), list(quantiles))
        axes.set_ylim(len(quantiles) - 0.4, -0.6)
        axes.set_xlim(-3, 103)
        axes.set(
            title=f"Entropy of {targets(document)}",
            xlabel="% of the largest there is: 100 teaches no order",
        )

    message = (
        f"Entropy of {targets(document)} as a share of the largest, with 5, 25, 75 "
        f"and 95 % quantiles; medians: {', '.join(said)}."
    )
    return Plot(message, svg(draw, _height(len(quantiles))))


def _height(rows: int) -> tuple[float, float]:
    """Of a plot with a row for each teacher, in inches."""
    return 6.2, max(3.4, 1.3 + 0.42 * rows)
