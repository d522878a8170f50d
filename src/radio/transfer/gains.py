"""What the cells say: means, and gains over the baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radio.evaluation.statistics import (
    all_paired_differences,
    bootstrap_intervals,
    holm,
    paired_differences,
    sign_flip_tests,
)
from radio.lines import atomic_write
from radio.transfer.cells import Cells
from radio.transfer.matrix import RETRIEVER, Matrix

SHOWN = ("em", "f1", "accuracy")
"""Measures of an answer that the table has, as far as the task has them."""

Numbers = dict[str, Any]


def measure(matrix: Matrix, cells: Cells) -> dict[str, Any]:
    """All figures, as ``transfer.json`` has them.

    Each gain is paired by question. Its p-value is that of a sign-flip test, corrected by Holm for
    all gains of one measure on one dataset: rerankers times generators.
    """
    rows: list[dict[str, Any]] = []
    for dataset in matrix.datasets:
        for generator in matrix.generators:
            for reranker in (RETRIEVER, *matrix.rerankers):
                rows.append(_row(cells, dataset, reranker, generator))
    for dataset in matrix.datasets:
        for name in SHOWN:
            _compare(matrix, cells, [row for row in rows if row["dataset"] == dataset], name)
    return {
        "name": matrix.name,
        "split": matrix.split,
        "top_k": matrix.top_k,
        "baseline": matrix.baseline,
        "datasets": list(matrix.datasets),
        "rerankers": list(matrix.rerankers),
        "generators": list(matrix.generators),
        "cells": rows,
    }


def _row(cells: Cells, dataset: str, reranker: str, generator: str) -> dict[str, Any]:
    """A cell without its gains."""
    key = (dataset, reranker, generator)
    row: dict[str, Any] = {"dataset": dataset, "reranker": reranker, "generator": generator}
    found = cells.done.get(key)
    if found is None:
        row["failed"] = cells.failed.get(key) or "no reranker of this row could be evaluated"
        return row
    if key in cells.folders:
        row["run"] = str(cells.folders[key])
    names = [name for name in SHOWN if found.get(name)]
    samples = [list(found[name].values()) for name in names]
    row["measures"] = {}
    for name, sample, interval in zip(names, samples, bootstrap_intervals(samples), strict=True):
        mean = sum(sample) / len(sample)
        row["measures"][name] = {
            "mean": mean,
            "low": interval[0],
            "high": interval[1],
            "questions": len(sample),
        }
    if not names:
        row["failed"] = "no question has a golden answer to judge by"
    return row


def _compare(matrix: Matrix, cells: Cells, rows: list[dict[str, Any]], name: str) -> None:
    """Add the gains of one measure on one dataset: the family of Holm's correction."""
    compared: list[Numbers] = []
    pairs: list[tuple[Mapping[str, float], Mapping[str, float]]] = []
    for row in rows:
        base = cells.done.get((row["dataset"], matrix.baseline, row["generator"]), {})
        own = cells.done.get((row["dataset"], row["reranker"], row["generator"]), {})
        is_there = name in row.get("measures", {}) and base.get(name)
        if row["reranker"] == matrix.baseline or not is_there:
            continue
        if own[name].keys() & base[name].keys():
            compared.append(row["measures"][name])
            pairs.append((own[name], base[name]))
    if not pairs:
        return
    samples = [paired_differences(*pair) for pair in pairs]
    p_values = sign_flip_tests(samples)
    corrected = holm(p_values)
    for place, found in enumerate(all_paired_differences(pairs)):
        assert found is not None
        differences = samples[place]
        compared[place]["gain"] = {
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "questions": len(differences),
            "won": sum(value > 0 for value in differences),
            "lost": sum(value < 0 for value in differences),
            "p": p_values[place],
            "p_holm": corrected[place],
            "family": len(pairs),
        }


def write(document: Mapping[str, Any], folder: Path, tables: str) -> None:
    """Write ``transfer.json`` and ``transfer.md``."""
    with atomic_write(folder / "transfer.json") as file:
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
    with atomic_write(folder / "transfer.md") as file:
        file.write(tables)
