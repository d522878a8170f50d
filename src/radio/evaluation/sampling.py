"""Which questions a page has room for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from radio.evaluation.systems import lot


def sampled(
    questions: Sequence[str], flips: Collection[str], limit: int, seed: int = 0
) -> list[str]:
    """So many of the questions, in their order: those that flipped first, others at random.

    Args:
        questions: ids of all.
        flips: ids of those on which the two systems differ; at random too, where they are too many.
        limit: how many are kept.
        seed: of the draw; the same ids are drawn whatever the others are.
    """
    if len(questions) <= limit:
        return list(questions)

    def turn(question: str) -> tuple[bool, str]:
        return question not in flips, lot(str(seed), question)

    kept = set(sorted(questions, key=turn)[:limit])
    return [question for question in questions if question in kept]
