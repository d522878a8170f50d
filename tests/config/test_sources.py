"""Where a key was written, in the user's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.config.files import read_config
from radio.config.sources import given
from radio.config.words import read_words


@pytest.mark.parametrize(
    ("words", "path", "expected"),
    [
        (["--model.init_args.lr", "1"], "model.init_args.lr", "--model.init_args.lr"),
        # init_args may be left out
        (["--model.lr", "1"], "model.init_args.lr", "--model.lr"),
        # what is inside of a value is named by the option that has it
        (["--data.paths", "[a]"], "data.paths.0", "--data.paths"),
        (["--t.callbacks+", "A"], "t.callbacks.0.class_path", "--t.callbacks+"),
        ([], "trainer.devices", "--trainer.devices"),
    ],
)
def test_an_option_is_named_as_it_was_typed(words: list[str], path: str, expected: str) -> None:
    assert read_words(words).options.place(tuple(path.split("."))) == expected


def test_a_key_of_a_file_is_named_as_it_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model:\n  lr: 1\ntrainer:\n  callbacks:\n  - class_path: A\n")
    source = read_config(str(file))
    assert source.place(("model", "init_args", "lr")) == f"{file}: key 'model.lr'"
    place = source.place(("trainer", "callbacks", "0", "class_path"))
    assert place == f"{file}: key 'trainer.callbacks.0.class_path'"


def test_what_was_set_last_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model: {init_args: {lr: 1, margin: 2}}\n")
    sources = [read_config(str(file)), read_words(["--model.init_args.lr", "3"]).options]
    assert given(sources, ("model", "init_args", "lr")) == "--model.init_args.lr"
    margin = given(sources, ("model", "init_args", "margin"))
    assert margin == f"{file}: key 'model.init_args.margin'"
    assert given(sources, ("model", "init_args", "temperature")) is None
