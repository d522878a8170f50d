"""Outcomes: what counts as empty, and what to do about answers of no use."""

from __future__ import annotations

import pytest

from radio.llm.outcomes import kept_as_they_are, outcome_of, whole_text


@pytest.mark.parametrize(
    ("text", "outcome", "expected"),
    [
        ("Because.", "written", "written"),
        (" \n", "written", "empty"),
        ("", "refused", "refused"),
        ("", "truncated", "truncated"),
    ],
)
def test_a_blank_answer_is_empty_unless_there_is_a_reason_for_it(
    text: str, outcome: str, expected: str
) -> None:
    assert outcome_of(text, outcome) == expected


def test_half_a_character_becomes_one_that_can_be_encoded() -> None:
    assert whole_text("lamp \ud83d") == "lamp \N{REPLACEMENT CHARACTER}"
    assert whole_text("lamp \ud83d\udca1") == "lamp \U0001f4a1"


def test_the_advice_fits_the_outcomes() -> None:
    said = kept_as_they_are({"refused": 1200, "truncated": 3})
    assert said.startswith("1,200 refused, 3 truncated: such answers are kept")
    assert "raise max_tokens" in said
    assert "radio cache prune --outcome refused --yes" in said
    assert "raise max_tokens" not in kept_as_they_are({"empty": 1})
