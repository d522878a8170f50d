"""The tables of the page."""

from __future__ import annotations

import math
from pathlib import Path

from radio.reporting.explorer import pair_of
from radio.reporting.plots import colours
from radio.reporting.tables import compared as compared_by
from radio.reporting.tables import gains, ordered, p_value, signed
from tests.reporting.runs import compared, config_of, told_run


def test_a_row_says_what_the_comparison_found(tmp_path: Path) -> None:
    comparison = compared(told_run(tmp_path / "run", 40, won=range(30), lost=(31,)))
    table = compared_by(comparison, "em@1", colours(comparison.rows))
    base, tuned = table.rows
    assert table.questions == 40
    assert (base.mean, base.difference, base.forest) == ("25.0", "", None)
    assert (tuned.mean, tuned.difference, tuned.mark) == ("97.5", "+72.5", "better")
    assert tuned.record == "30 / 9 / 1"
    assert tuned.seeds == ""
    assert tuned.forest is not None
    assert tuned.forest[0] < tuned.forest[1] < tuned.forest[2]


def test_seeds_are_told_with_their_range(tmp_path: Path) -> None:
    folders = []
    for seed in (0, 1):
        config = config_of(tmp_path / "c.jsonl", seed_everything=seed)
        folders.append(told_run(tmp_path / f"run-{seed}", config=config, lost=range(seed)))
    comparison = compared(*folders)
    tuned = compared_by(comparison, "em@1", colours(comparison.rows)).rows[-1]
    assert tuned.seeds == "2: 87.5 to 100.0"


def test_groups_are_listed_by_their_gain(tmp_path: Path) -> None:
    def of(**means: float) -> dict[str, object]:
        groups = {name: {"mean": mean, "questions": 4} for name, mean in means.items()}
        return {"accuracy by subject": groups, "unparsed by subject": groups}

    breakdown = {
        "base": of(law=0.5, art=0.5, chess=0.25),
        "tuned": of(law=0.25, art=1.0, chess=0.25),
    }
    comparison = compared(told_run(tmp_path / "run", breakdown=breakdown))
    right, unparsed = gains(pair_of(comparison), "test")
    assert [group.group for group in right.moved] == ["art", "law"]
    assert [group.gain for group in right.moved] == ["+50.0", "\u221225.0"]
    assert [group.mark for group in right.moved] == ["better", "worse"]
    assert [group.bar for group in right.moved] == [(100, 190), (55, 100)]
    assert [group.group for group in right.unmoved] == ["chess"]
    assert [group.group for group in unparsed.moved] == ["law", "art"]


def test_measures_of_answers_come_first() -> None:
    names = ["RR@10", "em@1", "qwen_f1@3", "nDCG@5", "all_hops@1"]
    assert list(ordered(names)) == ["em@1", "qwen_f1@3", "all_hops@1", "RR@10", "nDCG@5"]


def test_numbers_are_written_for_people() -> None:
    assert [signed(0.0004), signed(-0.0004), signed(-0.05)] == ["0.0", "0.0", "\u22125.0"]
    assert [p_value(0.0004), p_value(0.04), p_value(math.nan)] == ["< 0.001", "0.040", "-"]
