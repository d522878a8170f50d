"""The matrix as a table for people: one for each dataset and measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radio.transfer.matrix import RETRIEVER

LEVEL = 0.05
"""Of the corrected p-values below which a gain is marked."""

Document = Mapping[str, Any]


def cell(row: Mapping[str, Any], measure: str) -> str:
    """Mean and interval in percent, then the gain with its own; ``*`` marks one that is shown."""
    if "failed" in row:
        return "failed"
    numbers = row["measures"].get(measure)
    if numbers is None:
        return "-"
    shown = f"{_percent(numbers)} {_interval(numbers)}"
    gain = numbers.get("gain")
    if gain is None:
        return shown
    mark = "*" if gain["p_holm"] < LEVEL else ""
    return f"{shown}; {100 * gain['difference']:+.1f} {_interval(gain, '+')}{mark}"


def _percent(numbers: Mapping[str, float]) -> str:
    return f"{100 * numbers['mean']:.1f}"


def _interval(numbers: Mapping[str, float], sign: str = "") -> str:
    return f"[{100 * numbers['low']:{sign}.1f}, {100 * numbers['high']:{sign}.1f}]"


def measures(document: Document, dataset: str) -> list[str]:
    """Those that some cell of a dataset has."""
    names: dict[str, None] = {}
    for row in document["cells"]:
        if row["dataset"] == dataset:
            names |= dict.fromkeys(row.get("measures", {}))
    return list(names)


def rows(document: Document, dataset: str, measure: str) -> list[list[str]]:
    """A row for each generator: its name, then a cell for the retriever and each reranker."""
    found = {}
    for row in document["cells"]:
        if row["dataset"] == dataset:
            found[row["generator"], row["reranker"]] = row
    systems = [RETRIEVER, *document["rerankers"]]
    lines = []
    for generator in document["generators"]:
        cells = [cell(found[generator, system], measure) for system in systems]
        lines.append([generator, *cells])
    return lines


def heading(document: Document, dataset: str, measure: str) -> str:
    """Of one table."""
    counts = [
        row["measures"][measure]["questions"]
        for row in document["cells"]
        if row["dataset"] == dataset and measure in row.get("measures", {})
    ]
    few, most = min(counts), max(counts)
    questions = f"{few:,}" if few == most else f"{few:,} to {most:,}"
    return (
        f"{dataset} ({document['split']}, {questions} questions): {measure} in %, "
        f"{document['top_k']} passages read; gain over {document['baseline']}"
    )


def remarks(document: Document) -> list[str]:
    """What is to be known of the tables: why a cell has no figure, and what a mark means."""
    said = []
    for row in document["cells"]:
        if "failed" in row and row["reranker"] != RETRIEVER:
            place = f"{row['dataset']} x {row['reranker']} x {row['generator']}"
            said.append(f"{place} failed: {row['failed']}")
    sizes = {}
    for row in document["cells"]:
        for measure, numbers in row.get("measures", {}).items():
            if "gain" in numbers:
                sizes[row["dataset"], measure] = numbers["gain"]["family"]
    if sizes:
        said.append(
            f"* p < {LEVEL:g} by a paired sign-flip test, corrected by Holm for all gains of a "
            f"table (up to {max(sizes.values())})"
        )
    short = [numbers for numbers in _gains(document) if numbers["questions"] < numbers["of"]]
    if short:
        said.append(
            f"{len(short)} gains are of fewer questions than their cell has: an answer that could "
            "not be had is left out of both"
        )
    return said


def _gains(document: Document) -> list[dict[str, Any]]:
    found = []
    for row in document["cells"]:
        for numbers in row.get("measures", {}).values():
            if "gain" in numbers:
                found.append({**numbers["gain"], "of": numbers["questions"]})
    return found


def markdown(document: Document) -> str:
    """All tables as Markdown."""
    lines = [f"# {document['name']}", ""]
    for dataset in document["datasets"]:
        for measure in measures(document, dataset):
            systems = [RETRIEVER, *document["rerankers"]]
            lines += [f"{heading(document, dataset, measure)}:", ""]
            lines.append("| generator | " + " | ".join(systems) + " |")
            lines.append("|---" * (len(systems) + 1) + "|")
            lines += [f"| {' | '.join(row)} |" for row in rows(document, dataset, measure)]
            lines.append("")
    lines += [f"- {_escaped(remark)}" for remark in remarks(document)]
    return "\n".join(lines).rstrip() + "\n"


def _escaped(text: str) -> str:
    """A remark holds what a command said: no mark-up of its own."""
    return text.replace("<", "&lt;").replace("|", "\\|")


def show_table(document: Document) -> None:
    """Print all tables."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    for dataset in document["datasets"]:
        for measure in measures(document, dataset):
            printed = Table(title=escape(heading(document, dataset, measure)))
            printed.add_column("generator", no_wrap=True)
            for system in (RETRIEVER, *document["rerankers"]):
                printed.add_column(escape(system), justify="right", no_wrap=True)
            needed = 1
            body = rows(document, dataset, measure)
            for row in body:
                printed.add_row(*(escape(text.replace("; ", "\n")) for text in row))
            for column in zip(["generator", RETRIEVER, *document["rerankers"]], *body, strict=True):
                lines = [line for text in column for line in text.split("; ")]
                needed += 3 + max(map(len, lines))
            # a pipe or a log has no width, and cells cut off would be of no use
            Console(width=max(Console().width, needed)).print(printed)
    for line in remarks(document):
        print(line)
