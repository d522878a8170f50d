"""The diagnosis in a run folder: read if it is of the results there, else left out and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from radio.comparing.reading import RunResults, read_runs
from radio.reporting.diagnosis import (
    VERSION,
    diagnosed,
    read_diagnosis,
    results_digest,
    said,
    verdicts,
)
from tests.conftest import read_jsonl, write_jsonl
from tests.reporting.runs import told_run


def numbers(mean: float, difference: float) -> dict[str, Any]:
    """Of two systems, as a diagnosis has them."""
    gain = {"difference": difference, "low": difference - 0.1, "high": difference + 0.1}
    gain |= {"questions": 7, "won": 3, "lost": 1, "p": 0.01, "p_holm": 0.02, "family": 2}
    interval = {"low": mean - 0.1, "high": mean + 0.1, "questions": 7}
    systems = {"base": {"mean": mean, **interval}, "tuned": {"mean": mean + difference, **interval}}
    return {"systems": systems, "gain": gain}


def document(**parts: Any) -> dict[str, Any]:
    """A diagnosis with these parts."""
    return {
        "version": VERSION,
        "run": "run",
        "split": "test",
        "questions": 8,
        "asked": 8,
        "measure": "em",
        "pair": ["base", "tuned"],
        "suspicious": 1,
        "unavailable": {},
        "failed": {},
        "remarks": [],
        **parts,
    }


def subset(name: str, count: int, difference: float) -> dict[str, Any]:
    return {"name": name, "questions": count, "measures": {"em": numbers(0.5, difference)}}


RESULTS = {
    "measures": ["em"],
    "pair": ["base", "tuned"],
    "subsets": [subset("all questions", 8, 0.25), subset("without suspicious ones", 7, 0.2)],
    "categories": [],
}


def variant(name: str, difference: float, change: float | None = None) -> dict[str, Any]:
    moved = None if change is None else numbers(0, change)["gain"]
    return {"variant": name, **numbers(0.4, difference), "change": moved}


def note(*rows: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return {
        "generator": None,
        "model": "Reader",
        "metric": "em",
        "reference": rows[0]["variant"],
        "measures": {"em": list(rows), "f1": list(rows)},
        "failed": 0,
        "costs": {"prompts": 9, "cached": 2, "spent": None},
        "repeated": {"same": 4, "other": 0},
        **facts,
    }


ORDER = note(variant("best first", 0.25), variant("best last", -0.1, -0.35), depth=3)


def kept(folder: Path, **changes: Any) -> RunResults:
    """A run with a diagnosis of its results."""
    told_run(folder)
    (run,) = read_runs([folder])
    whole = {**document(results_digest=results_digest(run, "test")), **changes}
    (folder / "diagnose.json").write_text(json.dumps(whole), encoding="utf-8")
    return run


def test_one_of_the_present_results_is_read(tmp_path: Path) -> None:
    found, reason = read_diagnosis(kept(tmp_path / "run"), "test")
    assert found is not None
    assert (found["measure"], reason) == ("em", "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": VERSION + 1}, f"found version {VERSION + 1}, expected {VERSION}; it is left"),
        ({"split": "validation"}, "run: its diagnosis is of validation, not of test; radio diag"),
        ({"results_digest": "0"}, "run: its diagnosis is of earlier results; radio diagnose"),
    ],
)
def test_another_one_is_left_out(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    found, told = read_diagnosis(kept(tmp_path / "run", **changes), "test")
    assert found is None
    assert reason in told


def test_none_or_a_damaged_one(tmp_path: Path) -> None:
    run = kept(tmp_path / "run")
    path = tmp_path / "run" / "diagnose.json"
    path.write_text("{", encoding="utf-8")
    found, told = read_diagnosis(run, "test")
    assert found is None
    assert "diagnose.json: not what radio diagnose wrote" in told
    path.write_text("[]", encoding="utf-8")
    assert "found version None" in read_diagnosis(run, "test")[1]
    path.unlink()
    assert read_diagnosis(run, "test") == (None, "")


def test_the_digest_is_of_orders_and_answers_and_not_of_time(tmp_path: Path) -> None:
    run = kept(tmp_path / "run")
    known, path = results_digest(run, "test"), tmp_path / "run" / "predictions.jsonl"
    rows = read_jsonl(path)
    rows[0]["tuned"]["asked"] = {"seconds": 3.0, "cached": True}
    write_jsonl(path, rows)
    assert results_digest(run, "test") == known
    rows[0]["tuned"]["passage_ids"].reverse()
    write_jsonl(path, rows)
    assert results_digest(run, "test") != known


def test_what_came_of_it_in_words() -> None:
    told = list(verdicts(document(results=RESULTS, order=[ORDER])))
    assert told == [
        "1 of 8 test questions are suspicious; without them em, tuned - base, is +20.0 [+10.0, "
        "+30.0] points on 7 questions.",
        "The gain in em is smallest with the passages best last: \u221210.0 [\u221220.0, 0.0] "
        "points; as in the run it is +25.0 [+15.0, +35.0] points.",
    ]
    others = note(variant("0", 0.1), variant("1", 0.05, -0.05), generator="large")
    told = list(verdicts(document(distractors=[others])))
    assert told[0].startswith("The gain in em of large is smallest with 1 distractor: +5.0")
    clean = document(results=RESULTS, suspicious=0)
    assert list(verdicts(clean)) == ["0 of 8 test questions are suspicious."]
    failed = document(failed={"order": "no key"}, unavailable={"near": "none"}, remarks=["so"])
    assert list(said(failed)) == [
        "near: not available: none",
        "WARNING: order failed: no key",
        "so",
    ]


def test_a_half_without_tests_is_no_group() -> None:
    assert diagnosed(document()) == []
    assert [group.title for group in diagnosed(document(results=RESULTS))] == ["Contamination"]
    assert [group.title for group in diagnosed(document(order=[ORDER]))] == ["Robustness"]
