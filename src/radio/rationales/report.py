"""What the rationales of a split are worth, in numbers, and in a row for each question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radio.cache import Cache
from radio.rationales.checks import CHECKS, Item, QualityChecks, Support, best_passages
from radio.rationales.wording import words
from radio.schema import Question, Rationale
from radio.text import has_answer

LIMITS = ("max_words", "min_new_words", "min_similarity")
"""Settings of the checks that the report names beside its numbers."""


@dataclass(frozen=True)
class Written:
    """The rationales of one split, and what they are measured against."""

    split: str
    questions: Sequence[Question]
    rationales: Mapping[str, Rationale]
    """By question id; whether or not they pass the filters."""
    items: Sequence[Item]
    """Those rationales with their questions and candidates."""
    filters: Sequence[str]
    """Names of the checks that a rationale must pass to be used."""
    checks: QualityChecks
    encoder_of: str
    """Whose the encoder of the checks is: ``rationale_checks`` or ``teacher``."""


def measure(written: Written, cache: Cache) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Numbers of a split, and a row for each of its questions; a share of nothing is None.

    An encoder or a judge of the checks computes what the cache lacks.
    """
    checks, items = written.checks, list(written.items)
    made = [name for name in CHECKS if name in checks.available or name in written.filters]
    failed = checks.run(items, cache, made)
    nearest = best_passages(items, checks.encoder, cache) if checks.encoder else {}
    rows = []
    for question in written.questions:
        rationale = written.rationales.get(question.id)
        rows.append(
            _row(
                written.split,
                question,
                rationale,
                failed.get(question.id, []),
                nearest.get(question.id),
            )
        )
    rationales = written.rationales.values()
    lengths = [row["words"] for row in rows if row["words"] is not None]
    passing = sum(not set(failed[question.id]) & set(written.filters) for question, _, _ in items)
    numbers = {
        "questions": len(written.questions),
        "rationales": len(rationales),
        "missing": len(written.questions) - len(rationales),
        "outcomes": _tally(rationale.outcome for rationale in rationales),
        "models": _tally(rationale.model for rationale in rationales),
        "tokens": _tokens(rationales),
        "filters": list(written.filters),
        "pass_filters": _count(passing, len(items)),
        "checks": {
            name: _count(sum(name in names for names in failed.values()), len(items))
            for name in made
        },
        "limits": {name: getattr(checks, name) for name in LIMITS},
        "words": _spread(lengths),
        "similarity": None,
        "support": _support(items, nearest, checks.min_similarity if checks.encoder else None),
    }
    if checks.encoder:
        numbers["similarity"] = {
            "encoder": checks.encoder.model,
            "encoder_of": written.encoder_of,
            **_spread([support.similarity for support in nearest.values()]),
        }
    return numbers, rows


def _row(
    split: str,
    question: Question,
    rationale: Rationale | None,
    failed: list[str],
    nearest: Support | None,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "split": split,
        "id": question.id,
        "question": question.question,
        "golden_answers": list(question.golden_answers),
    }
    if question.choices:
        row["choices"] = list(question.choices)
    row["rationale"] = rationale.text if rationale else None
    row["model"] = rationale.model if rationale else None
    row["outcome"] = rationale.outcome if rationale else None
    row["failed"] = failed
    row["words"] = len(words(rationale.text)) if rationale else None
    row["best_similarity"] = nearest.similarity if nearest else None
    row["best_passage"] = nearest.passage_id if nearest else None
    return row


def _support(
    items: Sequence[Item], nearest: Mapping[str, Support], min_similarity: float | None
) -> dict[str, Any]:
    """How many questions with a rationale have a candidate that contains an answer, one that is
    similar to the rationale, and both; the first alone without ``min_similarity``."""
    answered = set()
    for question, _, passages in items:
        if any(has_answer(passage.contents, question.golden_answers) for passage in passages):
            answered.add(question.id)
    counts = {"answer": _count(len(answered), len(items))}
    if min_similarity is not None:
        similar = set()
        for question_id, support in nearest.items():
            if support.similarity >= min_similarity:
                similar.add(question_id)
        counts["similar"] = _count(len(similar), len(items))
        counts["similar_and_answer"] = _count(len(similar & answered), len(items))
    return counts


def _tokens(rationales: Iterable[Rationale]) -> dict[str, int]:
    """Tokens by kind; other things that a service says of a call are no numbers."""
    tokens: Counter[str] = Counter()
    for rationale in rationales:
        for name, number in rationale.usage.items():
            if isinstance(number, int):
                tokens[name] += number
    return dict(tokens)


def _tally(names: Iterable[str]) -> dict[str, int]:
    """How often each occurs, the commonest first."""
    return dict(Counter(names).most_common())


def _count(number: int, total: int) -> dict[str, Any]:
    return {"count": number, "share": number / total if total else None}


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and quantiles; nothing of no values."""
    if not values:
        return {}
    quantiles = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
    spread = {"mean": float(np.mean(values))}
    for name, quantile in zip(quantiles, np.quantile(values, [*quantiles.values()]), strict=True):
        spread[name] = float(quantile)
    return spread
