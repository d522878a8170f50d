"""Whichever moment of its epochs a run is stopped at, nothing is left out and nothing done twice:
rows of metrics.csv, validations, the best checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from radio.runs.progress import is_validation_due
from tests.conftest import make_world
from tests.runs.restarting import Setting, killed_at

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*exists and is not empty", "ignore:.*could not find the monitored key"
)

OPTIONS: dict[str, tuple[int | None, dict[str, Any]]] = {
    "after each step": (1, {}),
    "after each epoch": (None, {}),
    "after every third step": (3, {}),
    "validation within epochs": (1, {"val_check_interval": 2}),
    "several batches a step": (1, {"accumulate_grad_batches": 3}),
    "validation every other epoch": (1, {"check_val_every_n_epoch": 2}),
    "steps instead of epochs": (1, {"max_epochs": -1, "max_steps": 7}),
    "epochs of a number of steps": (None, {"max_epochs": -1, "max_steps": 7}),
    "part of the batches": (1, {"limit_train_batches": 3}),
}
HARDEST = {
    "after each step": ("in validation", "after validation"),
    "validation within epochs": ("08 ", "after validation"),
    "epochs of a number of steps": ("before batch 6", "end of training"),
}
"""Moments at which Lightning by itself leaves out a validation, or counts something twice."""


def check(name: str, tiny_bert: str, folder: Any, moments: Any) -> None:
    every, options = OPTIONS[name]
    setting = Setting(model=tiny_bert, every_n_train_steps=every, trainer=options)
    found = killed_at(make_world(folder / "world", topics=6), setting, moments)
    assert len(found) > 1
    assert {moment: text for moment, text in found.items() if text} == {}


@pytest.mark.parametrize("name", HARDEST)
def test_a_validation_is_neither_left_out_nor_counted_twice(
    name: str, tiny_bert: str, tmp_path: Any
) -> None:
    check(name, tiny_bert, tmp_path, HARDEST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_moment_of_a_run(name: str, tiny_bert: str, tmp_path: Any) -> None:
    check(name, tiny_bert, tmp_path, None)


def test_a_checkpoint_of_an_older_version_asks_for_no_validation() -> None:
    assert not is_validation_due({})
    assert not is_validation_due({"fit_loop": {}})
