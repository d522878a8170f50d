"""Means and gains of a matrix, against scipy and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import permutation_test

from radio.transfer.cells import Cells
from radio.transfer.gains import measure, write
from radio.transfer.matrix import Entry, Matrix
from radio.transfer.table import cell, markdown, remarks, show_table


def matrix(**changes: object) -> Matrix:
    settings: dict[str, object] = {
        "name": "t",
        "folder": Path("runs/t"),
        "split": "test",
        "top_k": 3,
        "baseline": "base",
        "datasets": {"nq": Entry()},
        "rerankers": {"base": Entry(), "better": Entry()},
        "generators": {"g": {}},
    }
    return Matrix(**{**settings, **changes})  # type: ignore[arg-type]


def values(numbers: list[float]) -> dict[str, float]:
    return {f"q{place}": number for place, number in enumerate(numbers)}


def filled(base: list[float], better: list[float]) -> Cells:
    cells = Cells()
    cells.done["nq", "retriever", "g"] = {"em": values([0.0] * len(base))}
    cells.done["nq", "base", "g"] = {"em": values(base)}
    cells.done["nq", "better", "g"] = {"em": values(better)}
    return cells


def test_gains_are_paired_and_tested_as_scipy_does() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2, 12).astype(float)
    better = np.maximum(base, rng.integers(0, 2, 12)).astype(float)
    document = measure(matrix(), filled(base.tolist(), better.tolist()))
    rows = {row["reranker"]: row["measures"]["em"] for row in document["cells"]}
    assert "gain" not in rows["base"]
    gain = rows["better"]["gain"]
    assert gain["difference"] == pytest.approx((better - base).mean())
    assert gain["won"] == (better > base).sum()
    assert gain["lost"] == 0
    exact = permutation_test(
        (better, base), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples"
    )
    assert gain["p"] == pytest.approx(exact.pvalue)
    # the family: better and the retriever, each against base
    assert gain["family"] == 2
    assert gain["p_holm"] >= gain["p"]


def test_questions_join_by_their_ids_and_few_of_them_are_said() -> None:
    cells = filled([1.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    # in another order, and without one of them
    cells.done["nq", "base", "g"] = {"em": {"q2": 1.0, "q0": 1.0}}
    document = measure(matrix(), cells)
    gain = {row["reranker"]: row for row in document["cells"]}["better"]["measures"]["em"]["gain"]
    assert gain["questions"] == 2
    assert gain["difference"] == pytest.approx(-0.5)
    assert any("fewer questions" in remark for remark in remarks(document))


def test_a_failed_cell_says_why_and_loses_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    cells = filled([1.0] * 4, [1.0] * 4)
    wide = matrix(generators={"g": {}, "h": {}})
    cells.done["nq", "retriever", "h"] = {"em": values([1.0])}
    cells.done["nq", "better", "h"] = {"em": values([1.0])}
    cells.failed["nq", "base", "h"] = "no key <b>"
    document = measure(wide, cells)
    rows = {(row["reranker"], row["generator"]): row for row in document["cells"]}
    assert cell(rows["base", "h"], "em") == "failed"
    # without its baseline a cell has no gain
    assert "gain" not in rows["better", "h"]["measures"]["em"]
    assert rows["better", "g"]["measures"]["em"]["gain"]["difference"] == 0.0
    show_table(document)
    out = capsys.readouterr().out
    assert "nq x base x h failed: no key <b>" in out
    assert "no key &lt;b>" in markdown(document)


def test_the_table_shows_percent_interval_and_mark() -> None:
    base, better = [0.0] * 40, [1.0] * 20 + [0.0] * 20
    document = measure(matrix(), filled(base, better))
    row = next(row for row in document["cells"] if row["reranker"] == "better")
    shown = cell(row, "em")
    assert shown.startswith("50.0 [")
    assert "; +50.0 [+" in shown
    assert shown.endswith("]*")
    assert "| g | 0.0 [0.0, 0.0]; +0.0 [+0.0, +0.0] | 0.0 [0.0, 0.0] | 50.0 [" in markdown(document)
    assert cell(row, "f1") == "-"


def test_figures_are_written(tmp_path: Path) -> None:
    document = measure(matrix(), filled([1.0, 0.0], [1.0, 1.0]))
    write(document, tmp_path, markdown(document))
    assert json.loads((tmp_path / "transfer.json").read_text()) == document
    assert (tmp_path / "transfer.md").read_text() == markdown(document)
