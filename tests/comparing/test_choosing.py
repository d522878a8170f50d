"""Systems, baselines and measures are chosen by name; what is not there is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radio.comparing.choosing import Comparison, compare_runs
from radio.schema import InputError
from tests.comparing.runs import reader, seeded, write_run

NUMBERS = {
    "retriever": {"em": [0, 1, 0, 0], "nDCG@5": [0.1, 0.2, 0.3, 0.4]},
    "base": {"em": [0, 1, 1, 0], "nDCG@5": [0.2, 0.2, 0.3, 0.4]},
    "tuned": {"em": [1, 1, 1, 0], "nDCG@5": [0.3, 0.2, 0.3, 0.4], "f1": [1, 1, 1, 1]},
}


def compared(folders: list[Path], **options: Any) -> Comparison:
    return compare_runs(folders, draws=200, **options)


def names(comparison: Comparison) -> list[str]:
    return [row.name for row in comparison.rows]


def test_all_systems_are_compared_with_the_base_by_the_answers_first(tmp_path: Path) -> None:
    found = compared([write_run(tmp_path / "one", NUMBERS)])
    assert names(found) == ["retriever", "base", "tuned"]
    assert (found.baseline, found.measures) == ("base", ["em", "nDCG@5"])
    assert list(found.figures.differences["em"]) == ["retriever", "tuned"]


def test_without_a_base_the_retriever_is_the_baseline_else_the_first(tmp_path: Path) -> None:
    without = {name: NUMBERS[name] for name in ("retriever", "tuned")}
    assert compared([write_run(tmp_path / "one", without)]).baseline == "retriever"
    without = {"tuned": NUMBERS["tuned"], "teacher": NUMBERS["base"]}
    assert compared([write_run(tmp_path / "two", without)]).baseline == "tuned"


def test_a_baseline_is_named_by_row_system_run_group_or_folder(tmp_path: Path) -> None:
    folders = seeded(tmp_path) + seeded(tmp_path, name="theirs", gain=0.1)
    for name, row in {
        "retriever": "retriever",
        "theirs:tuned": "theirs:tuned",
        "theirs-2:tuned": "theirs:tuned",
        f"{folders[0]}:tuned": "ours:tuned",
        "ours-1:base": "base",
    }.items():
        assert compared(folders, baseline=name, measures=["em@1"]).baseline == row
    with pytest.raises(InputError, match=r"found several of that name.*ours:tuned, theirs:tuned"):
        compared(folders, baseline="tuned")
    with pytest.raises(
        InputError, match=r"--baseline none: found none of that name, expected .*base"
    ):
        compared(folders, baseline="none")


def test_systems_are_chosen_and_the_baseline_stays(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "one", NUMBERS)
    assert names(compared([folder], systems=["tuned"])) == ["base", "tuned"]
    assert names(compared([folder], systems=["tuned"], baseline="retriever")) == [
        "retriever",
        "tuned",
    ]
    with pytest.raises(InputError, match=r"--systems: found 'tunde', expected some of retriever"):
        compared([folder], systems=["tunde"])
    with pytest.raises(InputError, match="found one system, base, and nothing to compare it with"):
        compared([folder], systems=["base"])


def test_measures_are_chosen_in_their_order(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "one", NUMBERS)
    assert compared([folder], measure="nDCG@5").measures == ["nDCG@5", "em"]
    assert compared([folder], measures=["nDCG@5"]).measures == ["nDCG@5"]
    assert compared([folder], measure="em", measures=["nDCG@5", "em"]).measures == ["em", "nDCG@5"]
    with pytest.raises(InputError, match=r"--measures: found 'ndcg@5', .*did you mean nDCG@5"):
        compared([folder], measures=["ndcg@5"])
    # one that the tuned reranker alone has
    with pytest.raises(InputError, match=r"--measure: found 'f1', expected some of em, nDCG@5"):
        compared([folder], measure="f1")


def test_a_measure_that_all_trainings_have_heads_the_table(tmp_path: Path) -> None:
    both = {system: {"nDCG@5": NUMBERS[system]["nDCG@5"]} for system in ("base", "tuned")}
    folders = [
        write_run(tmp_path / "one", NUMBERS),
        write_run(tmp_path / "two", both, config={"model": "other"}),
    ]
    assert compared(folders).measures == ["nDCG@5", "em"]


def test_answers_of_different_generators_are_refused_or_left_out_when_asked(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / name, NUMBERS, config={"model": name}, generators=[reader(name)])
        for name in ("one", "two")
    ]
    with pytest.raises(
        InputError,
        match=r"em is not of the same generator: SpanReader one in one; SpanReader two in two; "
        r"--measures nDCG@5 compares",
    ):
        compared(folders)
    assert compared(folders, measures=["nDCG@5"]).measures == ["nDCG@5"]
    assert compared(folders, common=True).measures == ["nDCG@5"]
    with pytest.raises(InputError, match="em is not of the same generator"):
        compared(folders, common=True, measure="em")


def test_groups_are_put_together_by_name(tmp_path: Path) -> None:
    ours, theirs = seeded(tmp_path), seeded(tmp_path, name="theirs", gain=0.1)
    found = compared(ours[:1], named={"rest": [*ours[1:], *theirs]}, measures=["em@1"])
    assert [(group.name, len(group.runs)) for group in found.groups] == [("rest", 5), ("ours-1", 1)]


def test_each_group_has_its_own_figures_whatever_its_runs_are_called(tmp_path: Path) -> None:
    folders = []
    for name, lr, em in (("nq-1", 1, [1, 1, 1, 1]), ("nq-2", 1, [1, 1, 1, 1]), ("nq", 2, [0] * 4)):
        numbers = {"base": {"em": [0, 1, 0, 0]}, "tuned": {"em": em}}
        config = {"seed_everything": len(folders), "model": lr}
        folders.append(write_run(tmp_path / name, numbers, config=config))
    for found in (
        compared(folders),
        compared(folders[::-1]),
        compared(folders[2:], named={"nq": folders[:2]}),
    ):
        means = found.figures.means["em"]
        assert len(means) == len(found.rows) == 3
        for row in found.rows[1:]:
            assert means[row.name].mean == (0 if row.groups[0].runs[0].name == "nq" else 1)
    # a row is meant by its own name before another one is by that of its run
    named = {"nq": folders[:2]}
    assert names(compared(folders[2:], named=named)) == ["base", "nq:tuned", "nq (2):tuned"]
    found = compared(folders[2:], named=named, baseline="nq:tuned", systems=["nq:tuned", "base"])
    assert (found.baseline, names(found)) == ("nq:tuned", ["base", "nq:tuned"])
    assert compared(folders[2:], named=named, baseline=f"{folders[2]}:tuned").baseline == (
        "nq (2):tuned"
    )
