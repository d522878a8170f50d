"""Outcomes of answers: which of them are of no use, and what to do about those."""

from __future__ import annotations

from collections.abc import Mapping

USELESS = ("empty", "refused", "truncated")
"""Outcomes of which nothing can be learnt; they are kept like the others, and not asked for
again."""


def outcome_of(text: str, outcome: str) -> str:
    """The outcome of an answer, which is no longer ``written`` if its text is blank."""
    return "empty" if outcome == "written" and not text.strip() else outcome


def whole_text(text: str) -> str:
    """The text without half characters, as one that was cut may end with: no tokenizer takes
    them."""
    return text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")


def kept_as_they_are(outcomes: Mapping[str, int]) -> str:
    """How many answers came back that teach nothing, and what to do about them."""
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    advice = ["take another model or prompt"]
    if "truncated" in outcomes:
        advice.append("raise max_tokens")
    prune = " or ".join(f"radio cache prune --outcome {outcome} --yes" for outcome in outcomes)
    advice.append(f"ask the same again after: {prune}")
    return f"{counts}: such answers are kept and not asked for again; {', or '.join(advice)}"
