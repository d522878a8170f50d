"""Which Pythons and versions of the dependencies a release is tried with, and that CI does."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from benchmarks import versions
from benchmarks.versions import MAIN, PYTHONS, RESOLUTIONS, find_python, installs, row, run
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def workflow() -> dict[str, Any]:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_each_dependency_has_a_lower_bound_to_try() -> None:
    requirements = list(map(Requirement, PROJECT["dependencies"]))
    assert {one.name for one in requirements} >= set(MAIN)
    for requirement in requirements:
        assert [part.operator for part in requirement.specifier] == [">="], requirement


def test_lightning_is_none_of_the_releases_that_were_tampered_with() -> None:
    (lightning,) = [
        one for one in map(Requirement, PROJECT["dependencies"]) if one.name == "lightning"
    ]
    assert not lightning.specifier.contains("2.6.2")
    assert not lightning.specifier.contains("2.6.3")


def test_the_pythons_that_are_tried_are_those_that_the_package_names() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(named) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_only_the_lowest_are_resolved_downwards(tmp_path: Path) -> None:
    wheel = tmp_path / "radio.whl"
    (highest,) = installs("highest", wheel, None)
    assert highest[-1] == f"{wheel}[offline]"
    assert "--resolution" not in highest
    # before the wheel, which finds them there
    first, second = installs("lowest", wheel, tmp_path / "torch.whl")
    assert first[first.index("--resolution") + 1] == "lowest-direct"
    assert str(ROOT / "pyproject.toml") in first
    assert second[-1] == f"{wheel}[offline]"
    assert str(tmp_path / "torch.whl") in first
    assert str(tmp_path / "torch.whl") in second


def test_a_command_that_fails_says_which_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    seen = "import os; print(os.getcwd(), os.environ.get('PYTHONPATH'))"
    assert run([sys.executable, "-c", seen], tmp_path).strip() == f"{tmp_path} None"
    with pytest.raises(RuntimeError, match="ValueError: no wheel"):
        run([sys.executable, "-c", "raise ValueError('no wheel')"], tmp_path)


def test_an_interpreter_is_one_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    place = tmp_path / f"python{OWN}"
    # as pyenv's go-between for a version that is not chosen
    place.write_text("#!/bin/sh\nexit 127\n")
    place.chmod(0o755)
    assert find_python(OWN) is None
    place.unlink()
    place.symlink_to(sys.executable)
    assert find_python(OWN) == str(place)
    assert find_python("2.0") is None


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script, but for what it fetches."""
    monkeypatch.setattr(versions, "installed_uv", lambda folder: folder / "uv")
    monkeypatch.setattr(versions, "build", lambda uv, folder: folder / "radio.whl")
    monkeypatch.setattr(versions, "find_python", {"3.11": sys.executable}.get)


def test_a_pair_that_fails_and_a_python_that_was_asked_for_are_faults(
    without_network: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prove(python: str, resolution: str, *rest: object) -> dict[str, str]:
        folder = next(place for place in rest[2:] if isinstance(place, Path))
        folder.mkdir()
        if resolution == "lowest":
            raise RuntimeError("radio fit: no such thing")
        return {"torch": "2.13.0"}

    monkeypatch.setattr(versions, "prove", prove)
    assert versions.main(["--resolutions", "highest"]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"^\| 3\.11 \| highest \| runs \| \d+ \| torch 2\.13\.0 \|$", said, re.MULTILINE
    )
    assert row("3.14", "highest", "no such Python here", 0, "") in said
    assert versions.main(["--pythons", "3.14", "--resolutions", "highest"]) == 1
    assert versions.main([]) == 1
    assert "| 3.11 | lowest | radio fit: no such thing |" in capsys.readouterr().out


def test_the_workflow_tries_each_python_with_each_resolution_by_this_script() -> None:
    job = workflow()["jobs"]["versions"]
    matrix = job["strategy"]["matrix"]
    assert set(matrix) == {"python", "resolution"}
    assert tuple(matrix["python"]) == PYTHONS
    assert tuple(matrix["resolution"]) == RESOLUTIONS
    assert job["strategy"]["fail-fast"] is False
    said = "\n".join(step.get("run", "") for step in job["steps"])
    options = "--pythons ${{ matrix.python }} --resolutions ${{ matrix.resolution }}"
    assert f"python -m benchmarks.versions {options}" in said
    (python,) = [s for s in job["steps"] if "actions/setup-python" in s.get("uses", "")]
    assert python["with"]["python-version"] == "${{ matrix.python }}"


def test_the_workflow_may_read_alone_and_takes_actions_of_a_version() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert workflow()["permissions"] == {"contents": "read"}
    assert "secrets" not in text
    for job in workflow()["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] > 0
        for step in job["steps"]:
            assert re.fullmatch(
                r"actions/[\w-]+@v\d+\.\d+\.\d+", step.get("uses", "actions/a@v1.2.3")
            )


def test_ci_calls_the_script_for_what_is_affordable() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    called = set(re.findall(r"\w+", " ".join(re.findall(r"^make .*", script, re.MULTILINE))))
    assert called >= {"lint", "docs", "versions", "quickstart", "test"}
    said = subprocess.run(
        ["make", "-n", "versions", f"VENV={Path(sys.executable).parents[1]}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-m benchmarks.versions --own --resolutions lowest" in said
