"""The matrix of ``radio transfer`` as a section of the page: the figures of its file, and no
others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.reporting.transfer import read_transfer, transferred
from radio.schema import InputError
from radio.transfer.cells import Cells
from radio.transfer.gains import measure, write
from radio.transfer.matrix import Entry
from radio.transfer.table import markdown
from tests.transfer.test_gains import matrix, values

BASE, BETTER = [0.0] * 30 + [1.0] * 10, [1.0] * 20 + [0.0] * 10 + [1.0] * 10


def crossed(reason: str = "the key is not valid", name: str = "better") -> dict[str, Any]:
    """Two rerankers x two generators x two datasets, of which one cell has failed."""
    cells = Cells()
    for dataset in ("nq", "mine"):
        for generator in ("g", "h"):
            for reranker, found in (("retriever", BASE), ("base", BASE), (name, BETTER)):
                numbers = {"em": values(found), "f1": values(found)}
                cells.done[dataset, reranker, generator] = numbers
    del cells.done["mine", name, "h"]
    cells.failed["mine", name, "h"] = reason
    return measure(
        matrix(
            datasets={"nq": Entry(), "mine": Entry()},
            rerankers={"base": Entry(), name: Entry()},
            generators={"g": {}, "h": {}},
        ),
        cells,
    )


def test_each_cell_has_its_mean_and_gain_with_intervals() -> None:
    document = crossed()
    found = transferred(document)
    assert list(found.datasets) == ["nq", "mine"]
    em, f1 = found.datasets["nq"]
    assert (em.measure, f1.measure) == ("em", "f1")
    assert list(em.generators) == ["g", "h"]
    retriever, base, better = em.generators["g"]
    assert (base.mean, base.questions, base.gain, base.forest) == ("25.0", "40", "", None)
    assert (retriever.gain, retriever.mark) == ("0.0", "")
    assert (better.mean, better.gain, better.record) == ("75.0", "+50.0", "20 / 0")
    assert (better.mark, better.p_value) == ("better", "< 0.001")
    row = next(row for row in document["cells"] if row["reranker"] == "better")
    gain = row["measures"]["em"]["gain"]
    assert better.gain_interval == f"+{100 * gain['low']:.1f} to +{100 * gain['high']:.1f}"
    assert better.forest is not None
    low, value, high = better.forest
    assert em.forest.zero < low < value < high


def test_a_failed_cell_is_named_and_loses_no_other() -> None:
    found = transferred(crossed())
    *_, failed = found.datasets["mine"][0].generators["h"]
    assert (failed.reranker, failed.failed, failed.mean) == ("better", "the key is not valid", "")
    assert found.failed == ["mine, better, h: the key is not valid"]
    assert found.datasets["mine"][0].generators["g"][2].gain == "+50.0"


def test_a_folder_or_its_file_is_read(tmp_path: Path) -> None:
    document = crossed()
    write(document, tmp_path, markdown(document))
    assert read_transfer(tmp_path) == read_transfer(tmp_path / "transfer.json")
    assert read_transfer(tmp_path) == transferred(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file; expected the folder of a matrix"),
        ("{", "not what radio transfer wrote"),
        ("[]", "not what radio transfer wrote"),
        (json.dumps({**crossed(), "cells": [{}]}), "KeyError: 'dataset'"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "transfer.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_transfer(tmp_path)
