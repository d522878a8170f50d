"""Shipped configs are found by name wherever one works; a file of the user goes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from radio.config.shipped import find_config, shipped_configs, shipped_folder, similar
from tests.conftest import ROOT

Radio = Callable[..., tuple[int, str, str]]


def test_the_clone_has_them_at_its_root() -> None:
    assert shipped_folder() == ROOT / "configs"


def test_single_configs_come_before_the_folders_of_overlays() -> None:
    names = list(shipped_configs())
    single = [name for name in names if "/" not in name]
    assert names[: len(single)] == single == sorted(single)
    assert {"quickstart", "losses/rank_net", "datasets/nq"} <= set(names)


@pytest.mark.parametrize(
    "given",
    ["losses/rank_net", "configs/losses/rank_net", "configs/losses/rank_net.yaml"],
)
def test_a_shipped_config_is_found_from_another_folder(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(given) == str(ROOT / "configs/losses/rank_net.yaml")
    assert find_config(f"./{given}") == find_config(given) or not given.startswith("configs/")


@pytest.mark.parametrize("own", ["quickstart", "quickstart.yaml", "configs/quickstart.yaml"])
def test_a_file_of_the_user_goes_first(
    own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(own).parent.mkdir(exist_ok=True)
    Path(own).write_text("name: mine\n")
    assert find_config(own) == own
    # also where the ending was left out, as who copies a config to change it will do
    assert find_config(own.removesuffix(".yaml")) == own


def test_a_folder_of_the_user_is_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart").mkdir()
    assert find_config("quickstart") == str(ROOT / "configs/quickstart.yaml")


@pytest.mark.parametrize(
    "given", ["quickstart.yaml", "../configs/quickstart.yaml", "mine", "x" * 300, "a\0b", ""]
)
def test_what_is_no_name_of_a_shipped_config_stays_as_it_was_given(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(given) == given


@pytest.mark.parametrize(
    ("given", "likeliest"),
    [
        ("quickstrat", "quickstart"),
        ("quickstart.yaml", "quickstart"),
        ("rank_net", "losses/rank_net"),
        ("losses/ranknet", "losses/rank_net"),
        ("nq", "datasets/nq"),
        ("configs/nq.yaml", "datasets/nq"),
    ],
)
def test_the_nearest_name_is_offered(given: str, likeliest: str) -> None:
    assert similar(given)[0] == likeliest


def test_a_run_takes_shipped_configs_by_name(radio: Radio) -> None:
    # in an empty folder
    names = ("--config", "quickstart", "--config", "losses/rank_net")
    status, out, err = radio("fit", *names, "--print_config")
    assert status == 0, err
    config = yaml.safe_load(out)
    assert config["name"] == "quickstart"
    assert config["model"]["init_args"]["loss"]["class_path"] == "radio.losses.RankNet"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("quickstrat", "did you mean quickstart"),
        ("configs/losses/ranknet.yaml", "did you mean losses/rank_net"),
        ("xyzzy", "radio configs lists those that come with radio"),
    ],
)
def test_a_name_that_is_nothing_gets_the_nearest_ones(
    given: str, message: str, radio: Radio
) -> None:
    status, _, err = radio("fit", "--config", given)
    assert status == 2
    assert f"--config {given}: no such file" in err
    assert message in err
    assert len(err.splitlines()) == 1
