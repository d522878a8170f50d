"""The command that obtains what another one lacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radio.config.preparing import prepare_command
from radio.data.module import RationaleDataModule

Radio = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--config", "a.yaml", "--ckpt_path", "last"], ["--config", "a.yaml"]),
        (["-c", "a.yaml", "--trainer.callbacks+=X"], ["-c", "a.yaml", "--trainer.callbacks+=X"]),
        (["--test_after_fit", "false", "--name=it's"], ["'--name=it'\"'\"'s'"]),
        (["--model.init_args.lr", "1e-5", "--overwrite", "true"], ["--model.init_args.lr", "1e-5"]),
        (["--data.hf_token", "S", "--model.a=b"], ["--data.hf_token '(left out)' --model.a=b"]),
        ([], []),
    ],
)
def test_options_that_all_commands_take_are_kept(arguments: list[str], kept: list[str]) -> None:
    assert prepare_command(arguments) == " ".join(["radio prepare", *kept])


def test_the_command_line_names_the_command_with_its_own_options(
    radio: Radio, tiny_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RationaleDataModule, "prepare_data", lambda self: None)
    status, _, err = radio("fit", *tiny_run, "--test_after_fit", "false")
    assert status == 2
    assert "candidates missing for 12 of 12 train questions: q-0-0, " in err
    assert f"\n  fill them with: radio prepare {' '.join(tiny_run[:4])}" in err
    assert "--test_after_fit" not in err
