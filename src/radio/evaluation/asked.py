"""What a generator was asked and replied, in numbers: calls, tokens, time, money, and what was
lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from radio.evaluation.reading import Reading, Readings
from radio.generators import Answer


def tally(readings: Readings) -> dict[str, Any]:
    """For ``metrics.json``: what each system cost, and what all of them did together.

    The total counts each distinct prompt once, though several systems may share its answer.
    ``spent`` is of the answers that were new.
    """
    by_system: dict[str, list[Reading]] = {}
    for reading in readings.read:
        by_system.setdefault(reading.system, []).append(reading)
    total = _costs(readings.answers)
    new = [answer for answer in readings.answers if not answer.cached]
    return {
        "questions": len({reading.prompt.question.id for reading in readings.read})
        + len(readings.failed),
        "failed_questions": len(readings.failed),
        "systems": {system: _of_system(found) for system, found in by_system.items()},
        "total": {
            "prompts": readings.distinct,
            "failed": readings.distinct - len(readings.answers),
            **total,
            "spent": _dollars(new),
        },
    }


def _of_system(readings: Sequence[Reading]) -> dict[str, Any]:
    answers = [reading.answer for reading in readings]
    return {
        "answers": len(readings),
        "unparsed": sum(reading.parsed is None for reading in readings),
        "passages": sum(len(reading.prompt.passages) for reading in readings),
        "passages_cut": sum(answer.passages_cut for answer in answers),
        "answers_with_tokens_cut": sum(answer.tokens_cut > 0 for answer in answers),
        "tokens_cut": sum(answer.tokens_cut for answer in answers),
        **_costs(answers),
    }


def _costs(answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "cached": sum(answer.cached for answer in answers),
        "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "completion_tokens": sum(answer.usage.get("output", 0) for answer in answers),
        "seconds": sum(answer.seconds for answer in answers),
        "dollars": _dollars(answers),
    }


def _dollars(answers: Iterable[Answer]) -> float | None:
    """Their sum; None where no price is known."""
    known = [answer.dollars for answer in answers if answer.dollars is not None]
    return sum(known) if known else None


KEY = 16
"""Digits of the key of an answer that are kept: enough to tell whether a prompt is the same."""


def of_answer(answer: Answer) -> dict[str, Any]:
    """What ``predictions.jsonl`` says of how an answer came about."""
    return {
        "key": answer.key[:KEY],
        "outcome": answer.outcome,
        "cached": answer.cached,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.usage.get("output", 0),
        "seconds": answer.seconds,
        "dollars": answer.dollars,
        "passages_cut": answer.passages_cut,
        "tokens_cut": answer.tokens_cut,
    }
