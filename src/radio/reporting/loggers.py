"""The tables of an evaluation for W&B and TensorBoard, and the export for W&B, where such a logger
is on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info

from radio.reporting.evaluated import Cell, Evaluated, Numbers, evaluated, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IN_TEXT = 100
"""Questions in a text of TensorBoard, which shows no more than a page of it well."""


def log_evaluation(loggers: Sequence[Logger], folder: Path, split: str, step: int) -> None:
    """Log the tables of an evaluation that the run folder holds; other loggers get none.

    Args:
        loggers: of the trainer, on the first process.
        folder: of the run.
        split: which questions.
        step: optimizer steps of the weights.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            found = evaluated(folder, split)
            if found is not None:
                to_wandb(logger, found, step)
        elif isinstance(logger, TensorBoardLogger):
            found = evaluated(folder, split, MOST_IN_TEXT)
            if found is not None:
                to_tensorboard(logger, found, step)
        else:
            continue
        if found is not None and found.left_out is not None:
            rank_zero_info(f"{split}: {type(logger).__name__}: {found.left_out}")


# W&B


def to_wandb(logger: WandbLogger, found: Evaluated, step: int) -> None:
    """Tables ``SPLIT/table``, ``SPLIT/questions`` and ``SPLIT/notes``, and a chart
    ``SPLIT/curves/METRIC`` for each metric that was taken at several depths."""
    import wandb

    def table(numbers: Numbers) -> wandb.Table:
        return wandb.Table(columns=list(numbers.columns), data=[list(row) for row in numbers.rows])

    objects: dict[str, Any] = {
        "table": table(found.figures),
        "questions": table(found.questions),
        "notes": wandb.Table(columns=["note"], data=[[note] for note in found.notes]),
    }
    for metric, curve in found.curves.items():
        objects[f"curves/{metric}"] = wandb.plot.line(
            table(curve), "k", "mean", stroke="system", title=f"{found.split}: {metric}@k"
        )
    named = {f"{found.split}/{name}": thing for name, thing in objects.items()}
    # Lightning's own type is that of metrics
    logger.log_metrics(named, step)


def log_export(loggers: Sequence[Logger], folder: Path, facts: Mapping[str, Any]) -> None:
    """Give an exported reranker to W&B, as an artifact of its run; other loggers get none.

    It is not copied: offline, the files stay where they are until they are synced.

    Args:
        loggers: of the trainer, on the first process.
        folder: of the export.
        facts: of its weights, by name.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            import wandb

            name = f"reranker-{logger.experiment.id}"
            artifact = wandb.Artifact(name, "model", metadata=dict(facts))
            artifact.add_dir(str(folder), policy="immutable")
            logger.experiment.log_artifact(artifact)


# TensorBoard


def to_tensorboard(logger: TensorBoardLogger, found: Evaluated, step: int) -> None:
    """Texts ``SPLIT/table`` and ``SPLIT/questions``; for each metric that was taken at several
    depths a picture ``SPLIT/curves/METRIC``, and its means by depth as scalars."""
    writer = logger.experiment
    notes = "\n".join(f"- {escaped(note)}" for note in found.notes)
    table = _markdown(found.shown.columns, found.shown.rows)
    writer.add_text(f"{found.split}/table", f"{table}\n\n{notes}", step)
    questions = _markdown(found.questions.columns, found.questions.rows)
    writer.add_text(f"{found.split}/questions", f"{questions}\n\n{notes}", step)
    for metric, curve in found.curves.items():
        place = f"{found.split}/curves/{metric}"
        writer.add_figure(place, _drawn(metric, curve), step)
        for depth, system, mean, *_ in curve.rows:
            writer.add_scalar(f"{place}/{system}", mean, depth)
    writer.flush()


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    lines = [_row(columns), "|---" * len(columns) + "|", *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return "-" if cell is None else escaped(str(cell))


def escaped(text: str) -> str:
    """A text that markdown shows as it is: no markup, no element, no address, no further column."""
    return re.sub(r"[^\w\s.,;:%+=/'@?-]|_", lambda found: f"&#{ord(found[0])};", plain(text) or "")


def _drawn(metric: str, curve: Numbers) -> Figure:
    """Means by depth with their intervals, a line for each system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for system in dict.fromkeys(row[1] for row in curve.rows):
        points: list[Any] = [row for row in curve.rows if row[1] == system]
        depths = [point[0] for point in points]
        (line,) = axes.plot(depths, [100 * p[2] for p in points], marker="o", label=str(system))
        lows, highs = ([100 * point[edge] for point in points] for edge in (3, 4))
        axes.fill_between(depths, lows, highs, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="k", title=f"{metric}@k, in %, with 95 % intervals")
    axes.legend()
    return figure
