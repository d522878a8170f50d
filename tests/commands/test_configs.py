"""``radio configs`` lists the shipped configs and copies one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from radio.config.shipped import shipped_configs
from tests.conftest import ROOT
from tests.test_main import HEAVY

Radio = Callable[..., tuple[int, str, str]]
SHIPPED = ROOT / "configs"


def test_each_config_is_listed_with_what_it_is_for(radio: Radio) -> None:
    status, out, _ = radio("configs")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert list(lines) == list(shipped_configs())
    assert "Your own questions, passages and rationales." in lines["jsonl"]
    assert "Published: listwise InfoNCE" in lines["losses/info_nce"]


def test_they_are_listed_at_once() -> None:
    # before anything is imported that takes seconds
    done = subprocess.run([sys.executable, "-c", HEAVY, "configs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["losses/rank_net"], "rank_net.yaml"),
        (["configs/losses/rank_net.yaml"], "rank_net.yaml"),
        (["losses/rank_net", "mine.yaml"], "mine.yaml"),
        (["losses/rank_net", "folder"], "folder/rank_net.yaml"),
    ],
)
def test_a_config_is_copied(arguments: list[str], place: str, radio: Radio, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    status, out, err = radio("configs", "copy", *arguments)
    assert status == 0, err
    assert (tmp_path / place).read_text() == (SHIPPED / "losses/rank_net.yaml").read_text()
    assert place in out


def test_a_sweep_is_copied_for_wandb(radio: Radio) -> None:
    status, out, err = radio("configs", "copy", "sweeps/losses", "mine.yaml")
    assert status == 0, err
    assert "give it as wandb sweep mine.yaml" in out


def test_nothing_is_written_over_without_being_asked(radio: Radio, tmp_path: Path) -> None:
    (tmp_path / "jsonl.yaml").write_text("name: mine\n")
    status, _, err = radio("configs", "copy", "jsonl")
    assert status == 2
    assert "jsonl.yaml is there already" in err
    assert (tmp_path / "jsonl.yaml").read_text() == "name: mine\n"
    status, _, err = radio("configs", "copy", "jsonl", "--overwrite", "true")
    assert status == 0, err
    assert (tmp_path / "jsonl.yaml").read_text() == (SHIPPED / "jsonl.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ranknet"], "did you mean losses/rank_net"),
        (["xyzzy"], "radio configs lists all of them"),
        (["jsonl", "nowhere/jsonl.yaml"], "nowhere is no folder"),
    ],
)
def test_what_cannot_be_copied_is_said(arguments: list[str], message: str, radio: Radio) -> None:
    status, _, err = radio("configs", "copy", *arguments)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
