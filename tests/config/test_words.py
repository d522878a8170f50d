"""Command lines as they are read."""

from __future__ import annotations

from typing import Any

import pytest

from radio.config.sources import COMMAND_LINE
from radio.config.words import read_words
from radio.schema import InputError
from tests.config.test_files import plain


def words(*given: str) -> Any:
    found = read_words(given)
    assert found.options.name == COMMAND_LINE
    return plain(found.options.tree)


def test_a_value_may_begin_with_a_minus() -> None:
    assert words("--model.init_args.lr", "-1e-4") == {"model": {"init_args": {"lr": "-1e-4"}}}


def test_a_class_on_the_command_line_is_named_before_or_after_its_arguments() -> None:
    name, value = ("--a.loss", "InfoNCE"), ("--a.loss.init_args.temperature", "2")
    expected = {"a": {"loss": {"class_path": "InfoNCE", "init_args": {"temperature": "2"}}}}
    assert words(*name, *value) == words(*value, *name) == expected


def test_a_class_that_is_named_twice_drops_the_arguments_in_between() -> None:
    found = words(
        "--a", "BM25", "--a.init_args.k1", "2", "--a", "Dense", "--a.init_args.index_path", "x"
    )
    assert found == {"a": {"class_path": "Dense", "init_args": {"index_path": "x"}}}


def test_arguments_after_an_appended_item_are_its_own() -> None:
    found = words("--t.callbacks+", "A", "--t.callbacks+=B", "--t.callbacks.init_args.n", "1")
    assert found == {"t": {"callbacks+": ["A", {"class_path": "B", "init_args": {"n": "1"}}]}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--name"], "option --name: found no value"),
        (["--name", "--overwrite", "true"], "option --name: found no value"),
        (["quickstart.yaml"], "did you mean --config quickstart.yaml?"),
        (["--name", "a", "b"], "found 'b', which belongs to no option"),
        (["--model..lr", "1"], "found an empty part between dots"),
        (["--config", ""], "found an empty name"),
    ],
)
def test_words_that_are_no_options_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_words(given)
    assert message in str(caught.value)
