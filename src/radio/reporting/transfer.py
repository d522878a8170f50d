"""What ``radio transfer`` has found, as a section of the page: rerankers, generators, datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radio.comparing.comparison import LEVEL
from radio.reporting.plots import Forest, forest
from radio.reporting.story import percent
from radio.reporting.tables import p_value, signed
from radio.schema import InputError

FILE = "transfer.json"


class Cell(NamedTuple):
    """A reranker whose passages a generator has read; the baseline has no gain."""

    reranker: str
    mean: str = ""
    interval: str = ""
    questions: str = ""
    forest: tuple[float, float, float] | None = None
    gain: str = ""
    gain_interval: str = ""
    p_value: str = ""
    record: str = ""
    """Won and lost."""
    mark: str = ""
    """``better`` or ``worse`` where a gain is shown, else empty."""
    failed: str = ""
    """Why there is no figure."""


class Crossed(NamedTuple):
    """One dataset by one measure."""

    dataset: str
    measure: str
    generators: Mapping[str, Sequence[Cell]]
    """The rerankers by the generator that has read."""
    forest: Forest


class Transferred(NamedTuple):
    """The whole section."""

    name: str
    split: str
    top_k: int
    baseline: str
    datasets: Mapping[str, Sequence[Crossed]]
    """A table for each measure, by dataset."""
    failed: Sequence[str]
    """The cells that have no figure, and why."""


def read_transfer(place: str | Path) -> Transferred:
    """The section of a matrix.

    Args:
        place: folder of its runs, or its ``transfer.json``.

    Raises:
        InputError: there is no such file, or it is not what ``radio transfer`` writes.
    """
    path = Path(place)
    path = path / FILE if path.is_dir() else path
    try:
        return transferred(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(
            f"--transfer: {path}: no such file; expected the folder of a matrix (runs/NAME), or "
            f"the {FILE} that radio transfer has written into it"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"--transfer: {path}: not what radio transfer wrote ({reason})") from None


def transferred(document: Mapping[str, Any]) -> Transferred:
    """The section of a document as ``transfer.json`` has it."""
    return Transferred(
        str(document["name"]),
        str(document["split"]),
        int(document["top_k"]),
        str(document["baseline"]),
        {dataset: list(_tables(document, dataset)) for dataset in document["datasets"]},
        list(_failed(document["cells"])),
    )


def _tables(document: Mapping[str, Any], dataset: str) -> Iterator[Crossed]:
    rows = [row for row in document["cells"] if row["dataset"] == dataset]
    for measure in dict.fromkeys(name for row in rows for name in row.get("measures", {})):
        gains = {}
        for row in rows:
            gain = row.get("measures", {}).get(measure, {}).get("gain")
            if gain is not None:
                low, value, high = (float(gain[key]) for key in ("low", "difference", "high"))
                gains[_place(row)] = low, value, high
        placed = forest(gains)
        by_generator: dict[str, list[Cell]] = {name: [] for name in document["generators"]}
        for row in rows:
            by_generator[row["generator"]].append(_cell(row, measure, placed))
        yield Crossed(dataset, measure, by_generator, placed)


def _place(row: Mapping[str, Any]) -> str:
    return json.dumps([row["generator"], row["reranker"]])


def _cell(row: Mapping[str, Any], measure: str, placed: Forest) -> Cell:
    cell = Cell(str(row["reranker"]))
    if "failed" in row:
        return cell._replace(failed=str(row["failed"]))
    numbers = row["measures"].get(measure)
    if numbers is None:
        return cell._replace(failed=f"no question has {measure}")
    cell = cell._replace(
        mean=percent(numbers["mean"]),
        interval=f"{percent(numbers['low'])} to {percent(numbers['high'])}",
        questions=f"{numbers['questions']:,}",
    )
    gain = numbers.get("gain")
    if gain is None:
        return cell
    is_shown = gain["p_holm"] < LEVEL
    return cell._replace(
        forest=placed.cells.get(_place(row)),
        gain=signed(gain["difference"]),
        gain_interval=f"{signed(gain['low'])} to {signed(gain['high'])}",
        p_value=p_value(gain["p_holm"]),
        record=f"{gain['won']:,} / {gain['lost']:,}",
        mark=("better" if gain["difference"] > 0 else "worse") if is_shown else "",
    )


def _failed(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The retriever has no cell of its own to fail: it is read beside each reranker."""
    for row in rows:
        if "failed" in row and row["reranker"] != "retriever":
            place = f"{row['dataset']}, {row['reranker']}, {row['generator']}"
            yield f"{place}: {row['failed']}"
