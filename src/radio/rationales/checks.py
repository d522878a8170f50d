"""Checks of a rationale: which of the ways to be of no use as a teacher it shows."""

from __future__ import annotations

from collections.abc import Sequence

from radio.cache import Cache, Fingerprinted
from radio.schema import Passage, Question, Rationale

CHECKS = (
    "empty",
    "refusal",
    "truncated",
    "no_answer",
    "repeats",
    "too_long",
    "contradicts",
    "unsupported",
)

Item = tuple[Question, Rationale, Sequence[Passage]]


class QualityChecks(Fingerprinted):
    def run(self, items: Sequence[Item], cache: Cache, names: Sequence[str] = CHECKS) -> dict[str, list[str]]:
        """Names of the checks that each rationale fails, by question id; only the checks in ``names`` are made."""
        tests = {
            "empty": lambda r: not r.text.strip() and r.outcome != "refused",
            "refusal": lambda r: r.outcome == "refused",
            "truncated": lambda r: r.outcome == "truncated",
        }
        return {q.id: [n for n in names if n in tests and tests[n](r)] for q, r, _ in items}
