"""A comparison as a file: JSON, CSV, Markdown or LaTeX, by the ending of its name."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radio import __version__
from radio.comparing.choosing import Comparison
from radio.comparing.comparison import LEVEL, POWER
from radio.comparing.reading import RunResults
from radio.comparing.sheets import Sheet, dataset_of, remarks, sheets
from radio.comparing.terminal import printable
from radio.lines import atomic_write
from radio.schema import InputError


def check_output(path: Path) -> None:
    """Refuse a file of another kind, before anything is computed.

    Raises:
        InputError: its name has another ending.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"--output {path}: found the ending {path.suffix!r}, expected one of "
            f"{', '.join(FORMATS)}"
        )


def write(comparison: Comparison, path: Path) -> None:
    """Write a file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    check_output(path)
    text = FORMATS[path.suffix.lower()](comparison)
    try:
        with atomic_write(path) as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"--output {path}: cannot be written ({error.strerror})") from None


# JSON


def document(comparison: Comparison) -> dict[str, Any]:
    """All that a comparison has found, as plain values; null where there is no number."""
    found = comparison.found
    return {
        "radio": __version__,
        "split": found.split,
        "questions": len(found.questions),
        "left_out": dict(found.left_out),
        "baseline": comparison.baseline,
        "measures": list(comparison.measures),
        "draws": comparison.draws,
        "level": LEVEL,
        "power": POWER,
        "family": {
            measure: len(comparison.figures.differences[measure]) for measure in comparison.measures
        },
        "runs": [_run(run, group.name) for group in comparison.groups for run in group.runs],
        "systems": {
            row.name: {
                "system": row.system,
                "groups": [group.name for group in row.groups],
                "seeds": row.seeds,
            }
            for row in comparison.rows
        },
        "means": _plain(comparison.figures.means),
        "differences": _plain(comparison.figures.differences),
        "remarks": list(remarks(comparison)),
    }


def _run(run: RunResults, group: str) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "group": group,
        "dataset": dataset_of(run),
        "seed": run.seed,
        "version": run.version,
        "radio": run.mark.get("radio"),
    }


def _plain(figures: Any) -> Any:
    """Figures as objects of JSON, which knows no NaN."""
    if isinstance(figures, dict):
        return {key: _plain(value) for key, value in figures.items()}
    if isinstance(figures, tuple):
        return [_plain(value) for value in figures]
    if isinstance(figures, float):
        return None if math.isnan(figures) else figures
    if isinstance(figures, int):
        return figures
    return _plain(asdict(figures))


def as_json(comparison: Comparison) -> str:
    """All figures, as a JSON document."""
    return json.dumps(document(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# CSV


def as_csv(comparison: Comparison) -> str:
    """A line for each measure and system, in shares of 1."""
    rows = list(_records(comparison))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _records(comparison: Comparison) -> Iterator[dict[str, Any]]:
    whole = document(comparison)
    for measure in comparison.measures:
        for row in comparison.rows:
            mean = whole["means"][measure].get(row.name, {})
            difference = whole["differences"][measure].get(row.name, {})
            by_seed = mean.get("by_seed") or [None]
            yield {
                "split": comparison.found.split,
                "measure": _cell(measure),
                "system": _cell(row.name),
                "seeds": row.seeds,
                **{key: mean.get(key) for key in ("questions", "mean", "low", "high")},
                "lowest_seed": min(by_seed),
                "highest_seed": max(by_seed),
                "baseline": _cell(comparison.baseline),
                "difference": difference.get("difference"),
                "difference_low": difference.get("low"),
                "difference_high": difference.get("high"),
                "paired_questions": difference.get("questions"),
                "p_value": difference.get("p_value"),
                "p_holm": difference.get("p_holm"),
                "family": whole["family"][measure],
                **{
                    key: difference.get(key)
                    for key in ("effect", "won", "tied", "lost", "detectable")
                },
            }


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


# Markdown


def as_markdown(comparison: Comparison) -> str:
    """The tables, and the remarks below them."""
    parts = [_markdown_table(sheet) for sheet in sheets(comparison)]
    notes = "\n".join(f"- {_markdown(remark)}" for remark in remarks(comparison))
    return "\n\n".join([*parts, notes]) + "\n"


def _markdown_table(sheet: Sheet) -> str:
    lines = [f"**{_markdown(sheet.title)}**", ""]
    lines.append(_markdown_row(sheet.columns))
    lines.append("|---|" + "---:|" * (len(sheet.columns) - 1))
    lines += [_markdown_row(row) for row in sheet.rows]
    return "\n".join(lines)


def _markdown_row(cells: Any) -> str:
    return "| " + " | ".join(_markdown(cell).strip() for cell in cells) + " |"


def _markdown(text: str) -> str:
    """Text that is shown as it is: no markup, no HTML, no further column."""
    return re.sub(r"([\\`*_|<>\[\]&])", r"\\\1", printable(text))


# LaTeX


def as_latex(comparison: Comparison) -> str:
    """Tables for the package booktabs."""
    notes = [f"% {printable(remark)}" for remark in remarks(comparison)]
    return "\n\n".join([*map(_latex_table, sheets(comparison)), "\n".join(notes)]) + "\n"


def _latex_table(sheet: Sheet) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(sheet.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.columns) - 1)}}}",
        r"\toprule",
        _latex_row(sheet.columns),
        r"\midrule",
        *(_latex_row(row) for row in sheet.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _latex_row(cells: Any) -> str:
    # braces: a bracket after \\ would be taken for its argument
    return " & ".join(f"{{{_latex(cell.strip())}}}" for cell in cells) + r" \\"


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
"""What stands for the characters that mean something to LaTeX."""


def _latex(text: str) -> str:
    escaped = "".join(LATEX.get(letter, letter) for letter in printable(text))
    # a hyphen before a digit is a minus
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)


FORMATS: dict[str, Callable[[Comparison], str]] = {
    ".json": as_json,
    ".csv": as_csv,
    ".md": as_markdown,
    ".tex": as_latex,
}
"""By the ending of a file."""
