"""Whether a generator gives one answer to whatever it is asked, so that no ranking could change
it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from radio.evaluation.reading import NOTHING, Reading
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators.parsing import LETTERS

ENOUGH = 20
"""Answers from which on it says something that they are all alike."""
ALMOST_ALL = 0.95
MOSTLY_RIGHT = 0.9


@dataclass(frozen=True, slots=True)
class Constant:
    """An answer that a system gets to almost all of its questions."""

    system: str
    depth: int
    said: str
    count: int
    answers: int
    """How many there are in all; those that could not be parsed are none."""

    def __str__(self) -> str:
        place = self.system if self.system == CLOSED_BOOK else f"{self.system}, reads {self.depth}"
        return f"{self.said!r} to {self.count} of {self.answers} questions ({place})"


def constants(readings: Sequence[Reading], right: str) -> list[Constant]:
    """The answers that do not depend on what was asked, at most one of each system and depth.

    Such an answer makes almost all of twenty or more, and is not right in almost all of them. Of
    several choices the letter counts.

    Args:
        readings: of any systems and depths.
        right: name of the number that is 1 where an answer is right.
    """
    answers: dict[tuple[str, int], list[tuple[str, float]]] = {}
    for reading in readings:
        # nobody was asked, or nothing could be read
        if reading.answer is NOTHING or not reading.parsed or right not in reading.numbers:
            continue
        place = (reading.system, reading.depth)
        answers.setdefault(place, []).append((_said(reading), reading.numbers[right]))
    found = []
    for (system, depth), given in answers.items():
        said, count = Counter(text for text, _ in given).most_common(1)[0]
        hits = sum(is_right for text, is_right in given if text == said)
        if (
            len(given) >= ENOUGH
            and count >= ALMOST_ALL * len(given)
            and hits < MOSTLY_RIGHT * count
        ):
            found.append(Constant(system, depth, said, count, len(given)))
    return found


def _said(reading: Reading) -> str:
    """What was answered, so that equal strings are the same answer."""
    choices = reading.prompt.question.choices
    is_choice = reading.prompt.task == "multiple_choice"
    if is_choice and reading.parsed in choices:
        return LETTERS[choices.index(str(reading.parsed))]
    return str(reading.parsed)
