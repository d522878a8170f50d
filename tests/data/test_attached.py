"""A callback finds the data module of its trainer, or says what it found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from radio.data.attached import datamodule_of
from radio.schema import InputError
from tests.conftest import World
from tests.data.test_module import module


def test_it_is_that_of_the_trainer(world: World) -> None:
    data = module(world)
    trainer: Any = SimpleNamespace(datamodule=data)
    assert datamodule_of(trainer) is data


@pytest.mark.parametrize(("found", "name"), [(None, "none"), ("loaders", "str")])
def test_another_one_is_refused_by_its_name(found: object, name: str) -> None:
    trainer: Any = SimpleNamespace(datamodule=found)
    with pytest.raises(InputError, match=f"found {name}, expected a RationaleDataModule"):
        datamodule_of(trainer)
