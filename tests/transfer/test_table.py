"""Headings of the tables; cells and remarks are tested with the gains."""

from __future__ import annotations

from radio.transfer.table import heading, measures


def test_a_heading_says_split_questions_measure_and_baseline() -> None:
    def row(count: int) -> dict[str, object]:
        return {"dataset": "nq", "measures": {"em": {"questions": count}}}

    document = {
        "split": "test",
        "top_k": 3,
        "baseline": "base",
        "cells": [row(1200), row(1198), {"dataset": "nq", "failed": "x"}],
    }
    assert measures(document, "nq") == ["em"]
    shown = heading(document, "nq", "em")
    assert shown == (
        "nq (test, 1,198 to 1,200 questions): em in %, 3 passages read; gain over base"
    )
