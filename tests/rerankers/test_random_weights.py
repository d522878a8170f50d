"""Weights drawn at random are named: where they start training, and where they would rank."""

from __future__ import annotations

import pytest

from radio.rerankers import CrossEncoder, random_weights
from radio.schema import InputError


def test_the_first_three_are_named_when_they_start(capsys: pytest.CaptureFixture[str]) -> None:
    # another model for each message, because one is given once
    random_weights.say(CrossEncoder("of four"), ["a", "b", "c", "d"])
    assert (
        "'of four' has no head of a CrossEncoder: a, b, c, ... start at random"
        in capsys.readouterr().err
    )
    random_weights.say(CrossEncoder("of none"), [])
    assert capsys.readouterr().err == ""


def test_they_rank_nothing() -> None:
    module = CrossEncoder("plain")
    random_weights.refuse(module, [])
    with pytest.raises(
        InputError, match=r"model 'plain': 4 weights \(a, b, c\) of a CrossEncoder are missing"
    ):
        random_weights.refuse(module, ["a", "b", "c", "d"])
