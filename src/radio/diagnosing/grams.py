"""Which runs of words of a question stand in other texts too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from radio.text import tokens

RULES = {8: 0.7, 13: 0.0}
"""Length of a run of tokens, and which share of a question's runs has to be found at least.

Of 8 tokens 70 % (PaLM: Chowdhery et al., 2022, section 8), of 13 tokens a single one (GPT-3: Brown
et al., 2020, appendix C). A text is lower-cased, and split into words without punctuation.
"""

START = 3
"""Tokens by which a run is recognised, before all of it is compared."""


@dataclass(slots=True)
class Found:
    """What was found of a question."""

    grams: set[str] = field(default_factory=set)
    text: str = ""
    """Id of the first text that has some of them."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a question was found, by runs of one length.

    Args:
        found: distinct runs that were.
        of: distinct runs of the question.
        short: the question has fewer tokens than a run, and is looked for as a whole.
        flagged: so much was found that the question is suspicious.
    """

    found: int
    of: int
    short: bool
    flagged: bool


class Grams:
    """The runs of tokens of many questions, to be looked for in any number of texts.

    What is kept grows with the questions alone: texts may be streamed.

    Args:
        questions: text by question id.
        sizes: lengths of a run. A question that is shorter is looked for as a whole.
    """

    def __init__(self, questions: Mapping[str, str], sizes: Collection[int] = tuple(RULES)) -> None:
        self._sizes = tuple(sizes)
        self._words = {name: tokens(text) for name, text in questions.items()}
        self._holders: dict[str, list[str]] = {}
        lengths: dict[str, set[int]] = {}
        for name, words in self._words.items():
            for size in self._sizes:
                for gram in grams_of(words, size):
                    holders = self._holders.setdefault(gram, [])
                    # a short question is the same run for several lengths
                    if name not in holders[-1:]:
                        holders.append(name)
                    whole = min(size, len(words))
                    lengths.setdefault(" ".join(gram.split(" ")[:START]), set()).add(whole)
        self._lengths = {start: tuple(sorted(found)) for start, found in lengths.items()}
        shorter = {length for found in lengths.values() for length in found if length < START}
        self._shorter = tuple(sorted(shorter))

    def look_for(
        self,
        texts: Iterable[tuple[str, str]],
        owners: Mapping[str, Collection[str]] | None = None,
    ) -> dict[str, Found]:
        """What stands in some of these texts, by question id.

        Args:
            texts: id and text of each.
            owners: by id of a text, the questions that it counts for; None for all.
        """
        found: dict[str, Found] = {}
        for identifier, text in texts:
            for gram in self._within(tokens(text)):
                for name in self._holders[gram]:
                    if owners is not None and name not in owners[identifier]:
                        continue
                    of_question = found.setdefault(name, Found(text=identifier))
                    of_question.grams.add(gram)
        return found

    def _within(self, words: list[str]) -> set[str]:
        """The runs of any question that stand in a text."""
        there: set[str] = set()
        # most places are passed by after a look at a few words
        for place, start in enumerate(
            map(" ".join, zip(words, words[1:], words[2:], strict=False))
        ):
            for length in self._lengths.get(start, ()):
                gram = " ".join(words[place : place + length])
                if gram in self._holders:
                    there.add(gram)
        for length in self._shorter:
            there |= grams_of(words, length) & self._holders.keys()
        return there

    def overlap(self, name: str, size: int, found: Found | None) -> Overlap:
        """How much of a question was found, by runs of this length."""
        words = self._words[name]
        wanted = grams_of(words, size)
        count = len(wanted & found.grams) if found else 0
        enough = count > 0 and count >= RULES.get(size, 0.0) * len(wanted)
        return Overlap(count, len(wanted), len(words) < size, enough)


def grams_of(words: list[str], size: int) -> set[str]:
    """The distinct runs of so many words; of a shorter text the whole, of an empty one none."""
    if not words:
        return set()
    if len(words) <= size:
        return {" ".join(words)}
    return {" ".join(words[place : place + size]) for place in range(len(words) - size + 1)}
