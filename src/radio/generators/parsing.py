"""How the answer is found in a generator's reply: by rules, each with an example in
docs/generators.md.

A rule that does not fit leaves the reply unparsed (None), which counts as wrong and is counted:
a guess would be credited to the ranking.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from radio.schema import Question

LETTERS = string.ascii_uppercase
"""Of the choices, in order."""

# Reasoning: in an element of its own, one that was not opened in the reply (the template did), or
# one that was cut before its end
_REASONING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_REASONING_BEFORE = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_REASONING_CUT = re.compile(r"<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
# not the powers of 2**3**4
_BOLD = re.compile(r"(?<![\w*])\*\*(.+?)\*\*(?![\w*])", re.DOTALL)

_ANSWER_LINE = re.compile(r"(?:(?:final|short|correct) )?answer\s*:\s*(.*)", re.IGNORECASE)
_ANSWER_IS = re.compile(
    r"(?:(?:so|thus|therefore|hence),? )?the (?:(?:final|short|correct|right|best) )?answer "
    r"(?:to (?:the|this|your) question )?is\b:?\s*(?=\S)",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "`": "`"}
# a stop after a single letter belongs to an abbreviation (U.S.), and so it does in these
_FULL_STOP = re.compile(
    r"(?<![.\s])(?<!\b[^\W\d_])(?<!\b(?:Jr|Sr|Co|St|Dr|Mr|Ms))(?<!\b(?:Inc|Ltd|etc))\.\Z"
)


def short_answer(reply: str, question: Question) -> str | None:
    """The answer of a reply that may say more than that; None if it is all reasoning.

    Reasoning and bold marks go; the last line that begins with "Answer:" counts, else the first
    line; of that, "The answer is", quotation marks around the whole, and a full stop go.
    """
    text = without_reasoning(reply)
    if not text:
        return None if reply.strip() else ""
    answer = _ANSWER_IS.sub("", _answer_line(text), count=1)
    before = ""
    while before != answer:
        before = answer
        answer = _unquoted(_FULL_STOP.sub("", answer))
    return answer


def without_reasoning(reply: str) -> str:
    """The reply without its reasoning and marks of bold type."""
    text = _REASONING.sub("", reply)
    text = _REASONING_CUT.sub("", _REASONING_BEFORE.sub("", text))
    return _BOLD.sub(r"\1", text).strip()


def _answer_line(text: str) -> str:
    """What the last line that begins with "Answer:" says, or the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = lines[0]
    for number, line in enumerate(lines):
        if match := _ANSWER_LINE.match(line):
            following = lines[number + 1] if number + 1 < len(lines) else ""
            chosen = match[1] or following or line
    return chosen


def _unquoted(text: str) -> str:
    opening, inner, closing = text[:1], text[1:-1], text[-1:]
    is_quoted = inner and _QUOTES.get(opening) == closing
    # of two quotations side by side, these are not the marks of one
    if is_quoted and opening not in inner and closing not in inner:
        return inner.strip()
    return text


# Choices

_OPEN, _CLOSE = r"[(\[\"'“‘]", r"[)\]\"'”’]"
_BARE_LETTER = re.compile(rf"{_OPEN}*(?P<letter>[A-Za-z]){_CLOSE}*[.:,;!]?{_CLOSE}*")
# no letter is part of a word, of C++ or of B-cell
_LETTER = rf"{_OPEN}*(?P<letter>[A-Z]){_CLOSE}*(?![\w'’+#-])"
# after "the answer is" a small one is a letter too, but for "a" and "i", which are words
_ANY_LETTER = _LETTER.replace("[A-Z]", "[A-Zb-hj-z]")

_SAID_FIRST = re.compile(
    r"\A(?:[(\[](?P<letter>[A-Za-z])[)\]]|(?P<other>[A-Z])(?:[).:,](?=\s|\Z)|\s+[-–—]\s)"
    r"|(?P<small>[a-z])\))"
)
_SAID_AS_ANSWER = re.compile(
    r"(?i:\banswer\b\s*(?:is|was|would be|must be|should be|[:=])*\s*[:=]?\s*"
    r"(?:(?:therefore|thus|clearly|probably|likely|most likely|definitely)\s+)?"
    rf"(?:(?:the\s+)?(?:option|choice|letter)\s*:?\s*)?){_ANY_LETTER}"
)
_MENTIONED = (
    re.compile(rf"(?i:\b(?:option|choice)\s*:?\s*){_LETTER}"),
    re.compile(rf"(?i:\b(?:choose|chose|pick|picked|select|selected)\s+){_LETTER}"),
    re.compile(r"\((?P<letter>[A-Z])\)"),
    re.compile(
        rf"(?<![\w'’-]){_LETTER}"
        r"(?=\s+(?:is|was|must be|seems)\s+(?:the\s+)?(?:\w+\s+)?(?:correct|right|best|answer)\b)"
    ),
)
_AND_ANOTHER = re.compile(rf"\A{_CLOSE}*\s*(?:,|/|&|\+|\band\b|\bor\b)+\s*{_LETTER}")
# "A dog", "I think": words, but for "A because ..."
_GOES_ON = re.compile(r"\A\s+(?!(?:because|since|as|for|and|or|but|is|was|must|seems)\b)[a-z]")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|never|except|excludes?|eliminates?|rules? out)|n['’]t)"
    r"(?:\s+(?:think|believe|say|that|it|be|is|the|correct|right|answer|option|choice))*"
    r"\s*[(\[\"'“‘]*\Z",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    rf"\A{_CLOSE}*\s*(?:(?:is|was|would be|can)\s+)?(?:not|wrong|incorrect|false|ruled out)\b"
    rf"|\A{_CLOSE}*\s*(?:is|was|ca|wo)n['’]t\b",
    re.IGNORECASE,
)


class _Named(NamedTuple):
    """A letter that a reply names, and where the words stand that name it."""

    letter: str
    start: int
    end: int


def choice(reply: str, question: Question) -> str | None:
    """The text of the option that a reply chooses, by its letter or its text.

    None if it names several, none, one that is denied ("not B") or a letter beyond the options. A
    letter wins over an option whose text is that letter, since the prompt asks for letters.
    """
    text = without_reasoning(reply)
    choices = question.choices
    short = short_answer(reply, question)
    if not text or short is None:
        return None
    if not choices:
        return short
    for said in (text, short):
        found = _option_of(said, choices)
        if found is not None and not _is_letter(found):
            return found
    letters = _letters_of_lines(text) + list(_named(text, (_SAID_FIRST, _SAID_AS_ANSWER)))
    letters = letters or list(_named(text, _MENTIONED))
    different = {named.letter for named in letters}
    if len(different) > 1:
        return None
    if not letters:
        return mentioned(text, choices)
    if LETTERS.index(letters[0].letter) < len(choices):
        return _by_letter(letters[0], text, choices)
    # the letter of no option may be the text of one: a blood group
    return _option_of(short, choices)


def _letters_of_lines(text: str) -> list[_Named]:
    """Letters that are all that a line says, or says after "Answer:"."""
    found = []
    place = 0
    for line in text.splitlines(keepends=True):
        said = line.strip()
        if match := _BARE_LETTER.fullmatch(said):
            found.append(_Named(match["letter"].upper(), place, place + len(line)))
        place += len(line)
    return found


def _named(text: str, patterns: Sequence[re.Pattern[str]]) -> Iterator[_Named]:
    """Letters that are named in one of some ways and not denied."""
    for pattern in patterns:
        for match in pattern.finditer(text):
            group = next(name for name, value in match.groupdict().items() if value)
            start, end = match.span(group)
            if _is_word(text, start, end) or _is_denied(text, start, end):
                continue
            yield _Named(match[group].upper(), match.start(), match.end())
            # "B and C": both are named
            while another := _AND_ANOTHER.match(text[end:]):
                start, end = end + another.start("letter"), end + another.end("letter")
                if not _is_word(text, start, end):
                    yield _Named(another["letter"], start, end)


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether a letter is the article "A", or "I"."""
    return text[start:end] in ("A", "I") and _GOES_ON.match(text[end:]) is not None


def _is_denied(text: str, start: int, end: int) -> bool:
    return bool(_DENIED_BEFORE.search(text[:start]) or _DENIED_AFTER.match(text[end:]))


def _by_letter(named: _Named, text: str, choices: Sequence[str]) -> str | None:
    """The option of a letter; None if the text of another one stands beside it."""
    chosen = choices[LETTERS.index(named.letter)]
    lines = (text[: named.start] + text[named.end :]).strip().splitlines()
    beside = _option_of(lines[0].strip(" -–—():"), choices) if lines else None
    return chosen if beside in (None, chosen) else None


def _is_letter(text: str) -> bool:
    return len(text.strip()) == 1 and text.strip().upper() in LETTERS


def _option_of(said: str, choices: Sequence[str]) -> str | None:
    """The option that a text is: as it is written, or else but for case and marks at its end."""
    for form in (_squeezed, _plain):
        wanted = form(said)
        found = {option for option in choices if form(option) == wanted}
        if len(found) == 1:
            return found.pop()
    return None


def mentioned(text: str, options: Sequence[str]) -> str | None:
    """The only option whose text stands in a longer one and is not denied there.

    What is part of a longer option does not count where that one stands ("York" in "New York"), nor
    does an option of one or two characters, which any text may hold.
    """
    said = _squeezed(text).casefold()
    places: list[tuple[int, int, str]] = []
    for option in dict.fromkeys(options):
        plain = _plain(option)
        if len(plain) < 3:
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(plain)}(?!\w)", said):
            places.append((*match.span(), option))
    found = set()
    for start, end, option in places:
        inside = any(a <= start and end <= b and b - a > end - start for a, b, _ in places)
        if not inside and not _is_denied(said, start, end):
            found.add(option)
    return found.pop() if len(found) == 1 else None


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _plain(text: str) -> str:
    return _squeezed(text).casefold().strip("\"'“”‘’").rstrip(".,;:!").strip()
