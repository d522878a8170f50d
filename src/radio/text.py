"""Text in any script: when two questions are the same, which choice is meant, and the words that a
passage is found by."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Scripts that put no space between words, as the inside of a character class of ``regex``."""

_CLUSTER = regex.compile(rf"[{UNSPACED}]\p{{M}}*")

# Which of Unicode's compatibility forms are another way to write the same character, as a ligature
# or a full-width letter is; a superscript, a fraction or a circled number means something else.
_SAME_CHARACTER = {
    "<compat>",
    "<wide>",
    "<narrow>",
    "<font>",
    "<noBreak>",
    "<initial>",
    "<medial>",
    "<final>",
    "<isolated>",
    "<vertical>",
}
_STYLES = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛ʼ´`", "'"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        # invisible: zero-width space, byte order mark, soft hyphen
        **dict.fromkeys("\u200b\ufeff\u00ad", ""),
    }
)
_OPENING = re.compile(r"(?<!\S)[¿¡]+")
# a mark of the sentence ends a word; one inside of it (3.5, AC/DC), before it (.NET) or a factorial
# (5!) is part of it
_SENTENCE_MARKS = re.compile(r"""(?:[.,;:?…。、؟،؛।።]|(?<!\d)!)+(?=["')\]]*(?:\s|$))""")
# quotation marks stand around words; within one they are apostrophes, after a digit minutes, inches
_QUOTES = re.compile(r"""(?<!\w)["']+|(?<!\d)["']+(?!\w)""")


def normalise_question(text: str) -> str:
    """What two texts have in common if they ask the same question, however they are typed.

    They may differ in case, white space, Unicode's encoding of a character, the style of quotation
    marks and dashes, and the punctuation of a sentence. Symbols, punctuation within words and
    numbers, and the marks of any script count: C++ is not C#, 3.5 not 35, -5 not 5.
    """
    if not text.isascii():
        text = "".join(map(_plain_character, text))
        text = unicodedata.normalize("NFC", text).translate(_STYLES)
    text = _OPENING.sub("", text.translate(_STYLES).lower())
    before = ""
    while (
        before != text
    ):  # a mark may stand inside of a quotation that ends the sentence, or after it
        before = text
        text = _QUOTES.sub("", _SENTENCE_MARKS.sub("", text))
    return " ".join(text.split())


def _plain_character(character: str) -> str:
    if unicodedata.decomposition(character).partition(" ")[0] in _SAME_CHARACTER:
        return unicodedata.normalize("NFKC", character)
    return character


_SIMPLE_WORD = re.compile(r"\b\w\w+\b")
# beyond simple texts: marks belong to their word, and scripts without spaces are no words
_WORD = regex.compile(
    rf"(?P<run>(?:[{UNSPACED}]\p{{M}}*)+)|(?:(?![{UNSPACED}])[\w\p{{N}}\p{{M}}]){{2,}}"
)
_NOT_SIMPLE = regex.compile(rf"[\p{{M}}{UNSPACED}]")


def search_words(text: str) -> list[str]:
    """Lower-case words of two characters or more, for lexical search.

    Scripts without spaces (Chinese, Japanese, Thai, ...) give pairs of neighbouring characters, as
    Lucene's CJKAnalyzer does: a single one is in too many passages to tell them apart, and words
    would need a dictionary for each language. A character without a neighbour stands for itself.
    """
    text = text.lower()
    if text.isascii() or not _NOT_SIMPLE.search(text := unicodedata.normalize("NFC", text)):
        return _SIMPLE_WORD.findall(text)
    words: list[str] = []
    for match in _WORD.finditer(text):
        if match["run"] is None:
            words.append(match[0])
            continue
        characters = _CLUSTER.findall(match[0])
        pairs = [first + second for first, second in pairwise(characters)]
        words += pairs or characters
    return words


# combining marks belong to the word; the standard library's \w would split at them
_ASCII_TOKEN = re.compile(r"[a-z0-9]+")
_TOKEN = regex.compile(rf"[{UNSPACED}]\p{{M}}*|(?:(?![{UNSPACED}])[\p{{L}}\p{{N}}\p{{M}}])+")


def tokens(text: str) -> list[str]:
    """Unicode word tokens as DPR compares them: decomposed (NFD), lower case.

    A script without spaces gives a token for each character: an answer stands anywhere in its
    sentence.
    """
    if text.isascii():
        # the same, five times as fast
        return _ASCII_TOKEN.findall(text.lower())
    return _TOKEN.findall(unicodedata.normalize("NFD", text).lower())


NEVER_IN_TEXT = frozenset({"yes", "no", "true", "false", "supports", "refutes", "not enough info"})
"""Answers that are a verdict: that a passage contains the word says nothing."""


def findable(golden_answers: Sequence[str]) -> bool:
    """Whether a passage can be seen to hold an answer: there is one, and it is no verdict."""
    answers = [" ".join(tokens(answer.replace("_", " "))) for answer in golden_answers]
    return any(answer and answer not in NEVER_IN_TEXT for answer in answers)


def has_answer(contents: str, golden_answers: Sequence[str]) -> bool:
    """Whether a golden answer stands in the text as a run of tokens.

    DPR, Karpukhin et al., EMNLP 2020.
    """
    text = _spaced_tokens(contents)
    return any(words and f" {' '.join(words)} " in text for words in map(tokens, golden_answers))


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def sentences(text: str) -> list[str]:
    """Pieces of a text that end in ``.``, ``!`` or ``?`` before white space, in their order.

    A rule of thumb: "Dr. Ada" is two. A text without such marks, as one in a script that has others
    (``。``), is one piece; one that ends in white space has a last piece that is empty.
    """
    return _SENTENCE_END.split(text)


def choice_of(text: str, choices: Sequence[str]) -> str | None:
    """The choice that a text means: the one that is written so, or else the one of that letter, or
    else the only one that is written so but for case and underscores.

    White space makes no difference. None if no choice is meant.
    """
    for choice in choices:
        if squeezed(choice) == squeezed(text):
            return choice
    lettered = choice_of_letter(text, choices)
    if lettered is not None:
        return lettered
    alike = [choice for choice in choices if label(choice) == label(text)]
    return alike[0] if len(alike) == 1 else None


def choice_of_letter(text: str, choices: Sequence[str]) -> str | None:
    """The choice of a letter, A or a for the first; None if the text is no letter of theirs, or is
    itself, in either case, what a choice is called."""
    letter = text.strip().upper()
    called = [squeezed(choice).upper() for choice in choices]
    letters = list(string.ascii_uppercase[: len(choices)])
    if letter not in letters or letter in called:
        return None
    return choices[letters.index(letter)]


def squeezed(text: str) -> str:
    """Single blanks for all white space, and none around."""
    return " ".join(text.split())


def label(text: str) -> str:
    """A label as labels are compared: ``NOT_ENOUGH_INFO`` is ``not enough info``."""
    return squeezed(text.replace("_", " ")).casefold()


@lru_cache(maxsize=20_000)  # each evaluation looks at the same passages
def _spaced_tokens(text: str) -> str:
    # spaces at both ends: token borders, not substrings
    return f" {' '.join(tokens(text))} "
