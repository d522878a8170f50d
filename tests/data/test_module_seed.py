"""The run's seed is the default of every seed that shapes training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from radio.data import sharing
from radio.data.sharing import EpochSampler
from tests.conftest import World
from tests.data.test_module import module

Radio = Callable[..., tuple[int, str, str]]


def test_the_seed_of_a_run_decides_what_is_learnt(
    radio: Radio, tiny_run: list[str], tmp_path: Path
) -> None:
    small = [
        "--data.init_args.batch_size",
        "2",
        "--model",
        "BiEncoder",
        "--test_after_fit",
        "false",
    ]

    def weights(name: str, *seeds: str) -> bytes:
        status, _, err = radio("fit", *tiny_run, *small, "--name", name, *seeds)
        assert status == 0, err
        return (tmp_path / f"runs/{name}/export/model.safetensors").read_bytes()

    one, again = (weights(name, "--seed_everything", "1") for name in ("one", "again"))
    two = weights("two", "--seed_everything", "2")
    assert one == again
    assert one != two
    # a seed of the data's own still counts
    assert weights("own", "--seed_everything", "2", "--data.init_args.seed", "1") == one
    config = yaml.safe_load((tmp_path / "runs/two/config.yaml").read_text(encoding="utf-8"))
    assert config["seed_everything"] == 2
    assert config["data"]["init_args"]["seed"] is None


@pytest.mark.parametrize(
    ("own", "environment", "expected"), [(None, "7", 7), (3, "7", 3), (0, "7", 0), (None, "", 0)]
)
def test_the_data_has_its_own_seed_or_that_of_the_run(
    own: int | None, environment: str, expected: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    if environment:
        monkeypatch.setenv("PL_GLOBAL_SEED", environment)
    assert module(world, seed=own).run_seed == expected


def test_all_processes_share_one_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")
    data = module(world)
    whole = list(EpochSampler(9, seed=data.run_seed, shuffle=True))
    orders: list[list[tuple[int, int]]] = []
    monkeypatch.setattr(sharing, "process_count", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(sharing, "process_number", lambda rank=rank: rank)
        orders.append(list(EpochSampler(9, seed=data.run_seed, shuffle=True)))
    assert [item for pair in zip(*orders, strict=True) for item in pair][:9] == whole


def test_a_run_that_goes_on_with_another_seed_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    state: dict[str, Any] = json.loads(json.dumps(module(world).state_dict()))
    assert state == {"seed": 1}
    module(world).load_state_dict(state)
    monkeypatch.setenv("PL_GLOBAL_SEED", "2")
    with pytest.warns(UserWarning, match="trained with seed 1, this run goes on with 2"):
        module(world).load_state_dict(state)
