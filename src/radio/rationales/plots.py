"""Plots of the page about rationales, each an SVG with its message in words."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from radio.rationales.table import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2f6db3", "#c8651b", "#8a94a0"

STYLE = {
    "svg.hashsalt": "radio",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
}


class Plot(NamedTuple):
    """One image."""

    message: str
    """What it shows, for those who do not see it."""
    svg: str
    """In base 64."""


def plots(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """The plots of a split that has rationales (:func:`radio.rationales.report.measure`)."""
    made = [_lengths(numbers, rows), _failures(numbers)]
    similarity = numbers["similarity"]
    if similarity and "mean" in similarity:
        made.append(_similarities(numbers, rows))
    return [*made, _supported(numbers)]


def _lengths(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Plot:
    spread = numbers["words"]
    message = (
        f"Histogram of the length in words: median {spread['median']:.0f}, "
        f"95 % quantile {spread['p95']:.0f}."
    )

    def draw(axes: Axes) -> None:
        values = [row["words"] for row in rows if row["words"] is not None]
        _histogram(axes, values, numbers["limits"]["max_words"], "max_words")
        axes.set(title="Length", xlabel="words", ylabel="rationales")

    return Plot(message, svg(draw))


def _failures(numbers: Mapping[str, Any]) -> Plot:
    made, filters = numbers["checks"], numbers["filters"]
    shares = ", ".join(f"{name} {share(part)}" for name, part in made.items())

    def draw(axes: Axes) -> None:
        _bars(axes, made, [ORANGE if name in filters else GREY for name in made])
        axes.set(title="Failed checks (orange: dropped by the filters)", xlabel="% of rationales")

    return Plot(f"Bars of the rationales that fail each check: {shares}.", svg(draw))


def _similarities(numbers: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Plot:
    spread = numbers["similarity"]
    message = (
        "Histogram of the cosine between rationale and nearest candidate: "
        f"median {spread['median']:.3f}, 5 % quantile {spread['p05']:.3f}."
    )

    def draw(axes: Axes) -> None:
        values = [row["best_similarity"] for row in rows if row["best_similarity"] is not None]
        _histogram(axes, values, numbers["limits"]["min_similarity"], "min_similarity")
        axes.set(
            title="Similarity of the best candidate",
            xlabel="cosine to the rationale",
            ylabel="rationales",
        )

    return Plot(message, svg(draw))


def _supported(numbers: Mapping[str, Any]) -> Plot:
    support = numbers["support"]
    shares = [f"{name.replace('_', ' ')} {share(part)}" for name, part in support.items()]
    labels = {
        "similar": "similar to the rationale",
        "answer": "contains an answer",
        "similar_and_answer": "both exist",
    }

    def draw(axes: Axes) -> None:
        parts = {label: support[name] for name, label in labels.items() if name in support}
        _bars(axes, parts, [BLUE] * len(parts))
        axes.set(
            title="Questions with a candidate that ...",
            xlabel="% of questions with a rationale",
            xlim=(0, 119),
        )
        axes.set_xticks(range(0, 101, 20))

    message = (
        f"Bars of the questions with a candidate that supports the rationale: {', '.join(shares)}."
    )
    return Plot(message, svg(draw))


def _histogram(axes: Axes, values: Sequence[float], limit: float, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    bins = min(30, max(5, len(set(values))))
    axes.hist(values, bins=bins, color=BLUE, edgecolor="white", linewidth=0.5)
    low, high = axes.get_xlim()
    # a limit far away would squeeze the bars into a corner
    if low - 0.5 * (high - low) <= limit <= high + 0.5 * (high - low):
        axes.axvline(limit, color=ORANGE, linestyle="--", label=f"{name} {limit:g}")
        axes.legend(frameon=False)
    locator = axes.yaxis.get_major_locator()
    assert isinstance(locator, MaxNLocator)
    locator.set_params(integer=True)


def _bars(axes: Axes, parts: Mapping[str, Mapping[str, Any]], colors: Sequence[str]) -> None:
    shares = [100 * part["share"] for part in parts.values()]
    bars = axes.barh(list(parts), shares, color=colors, height=0.6)
    axes.bar_label(bars, [share(part) for part in parts.values()], padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, max(1.0, max(shares, default=0)) * 1.4)


def svg(draw: Callable[[Axes], None], size: tuple[float, float] = (6.2, 3.4)) -> str:
    """What is drawn as an SVG of so many inches, in base 64.

    It becomes an image, not inline: the names inside two SVGs would clash, and no script in it
    could run.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return base64.b64encode(content.getvalue()).decode()
