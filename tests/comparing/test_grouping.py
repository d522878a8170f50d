"""Runs of one configuration with other seeds are one group; the user's word is above the
configs'."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from radio.comparing.grouping import Group, grouped, named_groups
from radio.comparing.reading import RunResults
from radio.schema import InputError


def run(name: str, seed: int = 0, *, lr: float = 1e-4, **changes: Any) -> RunResults:
    config = {
        "seed_everything": seed,
        "name": name,
        "trainer": {"max_epochs": 1, "default_root_dir": f"/somewhere/{name}"},
        "model": {"init_args": {"lr": lr}},
        "data": {"init_args": {"seed": seed, "cache_dir": f"/cache/{name}", "path": "/data"}},
        **changes,
    }
    return RunResults(Path(name), name, {}, config, {})


def shown(groups: list[Group]) -> dict[str, list[str]]:
    return {group.name: [run.name for run in group.runs] for group in groups}


def test_seeds_of_one_config_are_one_group_and_named_by_what_their_names_share() -> None:
    runs = [run("radio-1", 1), run("rival", 1, lr=2e-4), run("radio-2", 2), run("radio-3", 3)]
    groups = grouped(runs)
    assert shown(groups) == {"radio": ["radio-1", "radio-2", "radio-3"], "rival": ["rival"]}
    assert not any(group.twin_of for group in groups)


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (("nq-seed1", "nq-seed2"), "nq"),
        (("nq-seed-1", "nq-seed-2"), "nq"),
        (("run 11", "run 12"), "run"),
        (("a", "b"), "a"),
        (("1", "2"), "1"),
    ],
)
def test_a_group_has_a_name(names: tuple[str, str], group: str) -> None:
    assert list(shown(grouped([run(name, seed) for seed, name in enumerate(names)]))) == [group]


def test_two_groups_have_two_names() -> None:
    runs = [run("x-1", 1), run("x-2", 2), run("x-3", 1, lr=1.0), run("x-4", 2, lr=1.0)]
    assert shown(grouped(runs)) == {"x": ["x-1", "x-2"], "x-3": ["x-3", "x-4"]}


def test_no_group_has_the_name_of_another_run_in_whatever_order_they_are_given() -> None:
    runs = [run("nq-1", 1), run("nq-2", 2), run("nq", 1, lr=1.0)]
    for order in permutations(runs):
        found = shown(grouped(order))
        assert sorted(found) == ["nq", "nq-1"] or sorted(found) == ["nq", "nq-2"]
        assert found["nq"] == ["nq"]


def test_no_run_has_the_name_that_a_group_was_given() -> None:
    runs = [run("nq-1", 1), run("nq-2", 2, lr=2.0), run("nq", 3, lr=3.0)]
    named = {"nq": runs[:2]}
    assert shown(grouped(runs, named)) == {"nq": ["nq-1", "nq-2"], "nq (2)": ["nq"]}
    further = [*runs, run("nq (2)", 4, lr=4.0)]
    found = shown(grouped(further, named))
    assert found == {"nq": ["nq-1", "nq-2"], "nq (3)": ["nq"], "nq (2)": ["nq (2)"]}
    # several runs, of which the first has the name that is taken
    seeds = [run("a", 1), run("a-2", 2), run("b", 1, lr=2.0)]
    assert shown(grouped(seeds, {"a": seeds[2:]})) == {"a": ["b"], "a-2": ["a", "a-2"]}


def test_what_is_learnt_from_keeps_runs_apart() -> None:
    runs = [run("a", 1), run("b", 2, trainer={"max_epochs": 2}), run("c", 3, model={})]
    assert shown(grouped(runs)) == {"a": ["a"], "b": ["b"], "c": ["c"]}


def test_the_same_seed_again_is_no_further_seed() -> None:
    groups = grouped([run("a-1", 1), run("a-2", 2), run("copy", 1), run("another", 1)])
    assert shown(groups) == {"a": ["a-1", "a-2"], "copy": ["copy"], "another": ["another"]}
    assert [group.twin_of for group in groups] == ["", "a-1", "a-1"]


def test_a_run_without_a_config_stays_alone() -> None:
    runs = [RunResults(Path(name), name, {}, {}, {}) for name in ("a", "b")]
    assert shown(grouped(runs)) == {"a": ["a"], "b": ["b"]}


def test_named_groups_come_first_and_the_rest_is_grouped_by_itself() -> None:
    one, two, three, four = runs = [
        run(f"r-{n}", n, lr=n + 1.0 if n < 3 else 4.0) for n in range(4)
    ]
    assert shown(grouped(runs, {"ours": [two, one]})) == {
        "ours": ["r-1", "r-0"],
        "r-2": ["r-2"],
        "r-3": ["r-3"],
    }
    with pytest.raises(InputError, match=r"--group: found r-2 in ours and in theirs"):
        grouped(runs, {"ours": [three], "theirs": [four, three]})


def test_groups_are_named_on_the_command_line_by_folders_or_patterns(tmp_path: Path) -> None:
    for name in ("a-1", "a-2", "b"):
        (tmp_path / name).mkdir()
    found = named_groups([f"a={tmp_path}/a-*", f"b= {tmp_path}/b, gone"])
    assert found == {
        "a": [str(tmp_path / "a-1"), str(tmp_path / "a-2")],
        # what is not there is told by its name
        "b": [str(tmp_path / "b"), "gone"],
    }
    for wrong in (["a"], ["=x"], ["a="], ["a=x", "a=y"]):
        with pytest.raises(InputError, match="--group: found "):
            named_groups(wrong)
