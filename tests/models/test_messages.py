"""What is said of models: once, and in one message whatever a library raised."""

from __future__ import annotations

import pytest

from radio.models.messages import explained, say_once
from radio.schema import InputError


def test_the_same_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        say_once("a model of the tests has no head")
    assert capsys.readouterr().err == "a model of the tests has no head\n"


def test_what_a_library_raises_is_one_message_about_the_model() -> None:
    with (
        pytest.raises(InputError, match=r"^model 'none' cannot be loaded: no such thing$"),
        explained("none"),
    ):
        raise RuntimeError("no such thing\nand a second line")


def test_a_message_of_ours_stays_as_it_is() -> None:
    with pytest.raises(InputError, match=r"^ours$"), explained("none"):
        raise InputError("ours")
