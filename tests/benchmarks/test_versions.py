"""Which versions of the dependencies a release is tried with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.versions import MAIN, find_python, lower_bounds, lowest, row, run
from tests.conftest import ROOT

LISTING = "torch (2.15.0)\nAvailable versions: 2.15.0, 2.14.1, 2.13.0+cpu, 2.13.0, 2.12.1\n"


def test_each_main_dependency_has_a_lower_bound() -> None:
    bounds = lower_bounds((ROOT / "pyproject.toml").read_text())
    assert set(bounds) == set(MAIN)
    project = '[project]\ndependencies = ["torch>=2.13,<3", "numpy>=2", "tqdm>=4"]\n'
    assert lower_bounds(project) == {"torch": "2.13", "numpy": "2"}


def test_the_lowest_release_is_one_that_exists() -> None:
    assert lowest(LISTING, "2.13") == "2.13.0"
    assert lowest(LISTING, "2.14") == "2.14.1"
    with pytest.raises(ValueError, match=r"no release from 3 on"):
        lowest(LISTING, "3")


def test_a_command_that_fails_says_which_and_why(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", "import os; print(os.getcwd())"], tmp_path).strip() == str(
        tmp_path
    )
    with pytest.raises(RuntimeError, match="ValueError: no wheel"):
        run([sys.executable, "-c", "raise ValueError('no wheel')"], tmp_path)


def test_a_python_that_is_not_there_is_none() -> None:
    assert find_python("2.0") is None
    assert row("3.15", "lowest", "no such Python here", 0, "").startswith("| 3.15 | lowest |")
