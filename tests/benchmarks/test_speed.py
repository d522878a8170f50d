"""The table of speeds: agreement, what is compared with what, who takes part in which case."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.agreement import agreement, reference_scores
from benchmarks.environments import HERE
from benchmarks.rows import EXPORTERS, PEERS, Case, radio
from benchmarks.table import Yardstick, table
from radio.losses import InfoNCE
from radio.rerankers import CrossEncoder
from radio.schema import Group, Passage, Question


def report(
    name: str, speed: float, scores: list[float], batch: int | None = None
) -> dict[str, Any]:
    notes = {} if batch is None else {"batch_size": batch}
    memory = {"peak_rss_mib": 900.0, "step_rss_mib": 300.0}
    seconds = {"pairs_per_s": speed, "step_seconds": [len(scores) / speed]}
    return {"peer": name, "version": "1", "scores": scores, "notes": notes, **memory, **seconds}


def test_agreement_is_the_mean_over_questions_and_the_largest_difference() -> None:
    reference, scores = [1.0, 2.0, 3.0, 1.0, 2.0], [1.5, 2.0, 3.0, 2.0, 1.0]
    # the first question is in the same order, the second in the opposite one
    assert agreement(reference, scores, [3, 2]) == (0.0, 1.0)
    tau, gap = agreement([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0], [4])
    assert (tau, gap) == (pytest.approx(2 / 3), 1.0)


def test_a_question_whose_scores_are_all_equal_has_no_part_in_agreement() -> None:
    assert agreement([1.0, 2.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0], [2, 2])[0] == 1.0
    assert math.isnan(agreement([1.0, 2.0], [0.0, 0.0], [2])[0])


def test_scores_that_are_missing_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 1 scores, expected 2"):
        agreement([1.0, 2.0], [1.0], [2])


def test_the_reference_is_the_score_of_the_reranker(tiny_bert: str, tmp_path: Any) -> None:
    reranker = CrossEncoder(tiny_bert, loss=InfoNCE(), max_length=32)
    reranker.configure_model()
    reranker.export(tmp_path)
    texts = ["the harbour", "the lamp and the pilot at the harbour in the fog", "a tower"]
    passages = tuple(Passage(str(number), text) for number, text in enumerate(texts))
    group = Group(Question("q", "who lit the lamp"), passages, (math.nan,) * 3)
    batch = reranker.eval().collate([group])
    expected = reranker(batch)[batch.mask].tolist()
    found = reference_scores(tmp_path, [("who lit the lamp", text) for text in texts], 32)
    assert found == pytest.approx(expected, abs=1e-5)


def test_ratios_are_to_the_best_peer() -> None:
    results = {
        "one": [report("One", 10, [1.0, 2.0], 32)],
        "two": [report("Two", 20, [2.0, 1.0], 8)],
        "radio": [report("radio-rag", 30, [1.0, 2.0])],
    }
    yardstick = Yardstick(flops=1e9, peak=0.0, reference=[1.0, 2.0], sizes=[2])
    lines = table(("rank", "int8", "default"), results, yardstick).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    # name, ratio, share of an unknown peak, tau-b, batch size
    assert [[row[i] for i in (0, 4, 6, 9, 11)] for row in rows] == [
        ["radio", "1.50", "-", "1.0000", "-"],
        ["two", "1.00", "-", "-1.0000", "8"],
        ["one", "0.50", "-", "1.0000", "32"],
    ]


def test_a_peer_that_does_other_work_in_fp32_is_not_compared_with() -> None:
    results = {
        "right": [report("One", 10, [1.0, 2.0])],
        "wrong": [report("Two", 40, [2.0, 1.0])],
        "radio": [report("radio-rag", 30, [1.0, 2.0])],
    }
    yardstick = Yardstick(flops=1e9, peak=0.0, reference=[1.0, 2.0], sizes=[2])
    text = table(("rank", "fp32", "default"), results, yardstick)
    assert "| radio | radio-rag 1 | 30.0 | 30.0-30.0 | 3.00 |" in text
    assert text.endswith("not compared with, other scores than the reference: wrong")
    assert "not compared" not in table(("rank", "int8", "default"), results, yardstick)


@pytest.mark.parametrize("name", PEERS)
def test_every_row_has_its_files_and_options(name: str) -> None:
    row = PEERS[name]
    assert (HERE / f"requirements/{row.environment}.txt").is_file()
    assert all((HERE / f"peers/{worker}_worker.py").is_file() for worker in row.workers.values())
    assert not row.exported_by or (HERE / f"peers/{EXPORTERS[row.exported_by]}.py").is_file()
    assert bool(row.file) == bool(row.exported_by)
    task = "rank" if "rank" in row.workers else "train"
    case: Case = (task, row.dtypes[0], "default")
    assert row.offers(case)
    assert not row.offers(("train", "int8", "0"))
    options = row.options(case, [8, 32])
    assert ("--batch-sizes" in options) == (row.batches and task == "rank")
    assert ("--sort" in options) == row.sort


def test_this_project_ranks_in_int8_if_it_is_told_how() -> None:
    case: Case = ("rank", "int8", "default")
    assert not radio({}).offers(case)
    assert radio({"int8": {"evaluation_precision": "int8"}}).offers(case)
