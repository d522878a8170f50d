"""Records: rankings whose scores tie."""

from __future__ import annotations

from radio.schema import ranked


def test_equal_scores_are_ordered_by_passage_id_and_not_as_they_were_given() -> None:
    ids = [c.passage_id for c in ranked({"z": 0.0, "m": 1.0, "a": 0.0, "b": 1.0})]
    assert ids == ["b", "m", "a", "z"]
