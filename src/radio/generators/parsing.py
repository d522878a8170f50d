<<<<<<< HEAD
"""The answer in a generator's reply, by rules; docs/generators.md has an example of each.

A parser sees the question as it was asked, never the golden answers. None says that no rule found
an answer, which counts as wrong and as unparsed.
=======
"""How the answer is found in a generator's reply: by rules, each with an example in
docs/generators.md.

A rule that does not fit leaves the reply unparsed (None), which counts as wrong and is counted:
a guess would be credited to the ranking.
>>>>>>> w-g19b
"""

from __future__ import annotations

import re
import string
<<<<<<< HEAD
from collections.abc import Sequence

from radio.schema import Question
from radio.text import normalise_question, tokens
=======
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from radio.schema import Question
>>>>>>> w-g19b

LETTERS = string.ascii_uppercase
"""Of the choices, in order."""

<<<<<<< HEAD
# What every parser takes off

_REASONING = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
# some chat templates put the opening tag into the prompt
_REST_OF_REASONING = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_BOLD = re.compile(r"(?<![\w*])\*\*(?=\S)([^*]+?)(?<=\S)\*\*(?![\w*])")
_PREFIX = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?(?:the |my )?(?:final |correct |right |short )?"
    r"answer(?: is\b:?|\s*:)\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»"}
# what keeps its full stop: an initial, letters with stops (U.S., p.m., Ph.D.), or one of these
_ABBREVIATION = re.compile(
    r"(?:.*\W)?(?:[^\W\d_]|(?:[^\W\d_]{1,2}\.)+[^\W\d_]|jr|sr|inc|ltd|co|corp|bros|st|mt|dr|mr|mrs"
    r"|ms|prof|gen|rev|hon|vs|etc|ave|blvd|dept|univ)\.",
    re.IGNORECASE | re.DOTALL,
)


def short_answer(reply: str, question: Question) -> str | None:
    """The first line that says something, without what is wrapped around the answer."""
    for line in _cleaned(reply).splitlines():
        answer = _unwrapped(line)
        if answer:
            return answer
    return None


def _cleaned(reply: str) -> str:
    """A reply without reasoning blocks and the marks of bold type."""
    text = _REST_OF_REASONING.sub("", _REASONING.sub("", reply))
    return _BOLD.sub(r"\1", text).strip()


def _unwrapped(line: str) -> str:
    """A line without "The answer is", quotation marks around all of it and its full stop."""
    before = None
    text = line.strip()
    # they stand around each other in any order
    while before != text:
        before = text
        text = _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text
        text = _unquoted(_without_stop(text)).strip()
    return text


def _without_stop(text: str) -> str:
    is_kept = text.endswith("..") or _ABBREVIATION.fullmatch(text)
    return text if is_kept else text.removesuffix(".")


def _unquoted(text: str) -> str:
    if len(text) < 3 or _QUOTES.get(text[0]) != text[-1]:
        return text
    inside = text[1:-1]
    # two quotations side by side are no quotation
    return text if text[0] in inside or text[-1] in inside else inside
=======
# Reasoning: in an element of its own, one that was not opened in the reply (the template did), or
# one that was cut before its end
_REASONING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_REASONING_BEFORE = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_REASONING_CUT = re.compile(r"<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)

_ANSWER_LINE = re.compile(r"(?:(?:final|short|correct) )?answer\s*:\s*(.*)", re.IGNORECASE)
_ANSWER_IS = re.compile(
    r"(?:(?:so|thus|therefore|hence),? )?the (?:(?:final|short|correct|right|best) )?answer "
    r"(?:to (?:the|this|your) question )?is\b:?\s*(?=\S)",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "`": "`"}
# a stop after a single letter belongs to an abbreviation: U.S.
_FULL_STOP = re.compile(r"(?<![.\s])(?<!\b\w)\.\Z")


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
>>>>>>> w-g19b


# Choices

<<<<<<< HEAD
_NEGATION = (
    r"(?:\bnot|n['’]t|\bnever|\bcannot|\bneither|\bnor|\bexcept|\brather than|\bwrong|\bincorrect"
    r"|\bfalse)\b"
)
_NEGATED = re.compile(_NEGATION, re.IGNORECASE)
_CLAUSE = re.compile(r"[.,;:!?\n]|\b(?:so|but|hence|thus|therefore)\b", re.IGNORECASE)
_RULED_OUT = re.compile(
    rf"\)?\s+(?:(?:is|was|are|would be|can|could|does|seems)\s+)?\w*{_NEGATION}", re.IGNORECASE
)
# a capital anywhere; a small letter in brackets or where it ends the sentence ("a" is an article)
_ONE = (
    r"(?:[(\[](?P<bracket>[A-Za-z])[)\]]|(?P<capital>[A-Z])(?![\w'’-])"
    r"|(?P<small>[a-z])(?=[.)]?\s*(?:\n|\Z)))"
)
_WHOLE = re.compile(r"[(\[]?([A-Za-z])[)\].:]*")
_LEADING = re.compile(
    r"(?:[(\[](?P<bracket>[A-Za-z])[)\]]|(?P<round>[A-Za-z])\)|(?P<capital>[A-Z])"
    r"(?=\s*(?:[.:,;\n]|-\s|–|—|\Z)|\s+(?:is|because|since|and|or|as)\b))"
)
_ANSWER = re.compile(
    rf"\b(?i:answer(?: is| would be|:| =)+)\s*:?\s*(?i:option |choice |letter )?{_ONE}"
)
_OPTION = re.compile(rf"\b(?i:option|choice|letter):?\s+{_ONE}")
_ANOTHER = re.compile(
    r"[)\].]?\s*(?:,?\s*(?:and|or|&)|,|/)\s*(?i:option )?[(\[]?([A-Z])(?![\w'’-])"
)


def choice(reply: str, question: Question) -> str | None:
    """The text of the choice that a reply names: by its text, or by its letter.

    A question without choices is read as one for a short answer.
    """
    if not question.choices:
        return short_answer(reply, question)
    text = _cleaned(reply)
    line = short_answer(reply, question)
    if line is None:
        return None
    whole = _WHOLE.fullmatch(line)
    if whole:
        # the prompt asks for the letter, so that "A" is one even where a choice has this text
        return _lettered({whole[1].upper()}, question.choices)
    for candidate in (" ".join(text.split()), line):
        same = _same_text(candidate, question.choices)
        if same is not None:
            return same
    named = _named(text, [_LEADING, _ANSWER], question.choices)
    if not named:
        named = _named(text, [_OPTION], question.choices)
    if named:
        return _lettered(named, question.choices)
    return _mentioned(text, question.choices)


def _lettered(letters: set[str], choices: Sequence[str]) -> str | None:
    """The choice of a letter, if there is but one letter and the choices reach so far."""
    if len(letters) != 1:
        return None
    place = LETTERS.find(letters.pop())
    return choices[place] if 0 <= place < len(choices) else None


def _same_text(text: str, choices: Sequence[str]) -> str | None:
    """The one choice that a text is: as it is written, or but for case, articles, punctuation."""
    for form in (str.strip, _bare):
        found = {each for each in choices if form(each) == form(text)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _bare(text: str) -> str:
    return re.sub(r"^(?:an?|the) (?=\S)", "", normalise_question(text))


def _named(text: str, patterns: Sequence[re.Pattern[str]], choices: Sequence[str]) -> set[str]:
    """The letters that a text states as the answer; a letter with another choice's text behind it
    names both."""
    named = set()
    for pattern in patterns:
        matches = [pattern.match(text)] if pattern is _LEADING else pattern.finditer(text)
        for match in matches:
            if match is None or _is_negated(text, match):
                continue
            found = next(filter(None, match.groups()))
            named.add(found.upper())
            rest = text[match.end() :]
            another = _ANOTHER.match(rest)
            if another:
                named.add(another[1])
            said = _same_text(_unwrapped(rest.partition("\n")[0].lstrip(").:]-–— ")), choices)
            if said is not None:
                named.add(LETTERS[list(choices).index(said)])
    return named


def _is_negated(text: str, match: re.Match[str]) -> bool:
    """Whether a letter is ruled out: by a negation before it in its clause, or right behind it."""
    clause = _CLAUSE.split(text[: match.start()])[-1]
    return bool(_NEGATED.search(clause) or _RULED_OUT.match(text, match.end()))


def _mentioned(text: str, choices: Sequence[str]) -> str | None:
    """The one choice whose text stands in a reply without negation; one within another's does not
    count, nor do letters and numbers."""
    if _NEGATED.search(text):
        return None
    by_words: dict[str, set[str]] = {}
    for each in choices:
        by_words.setdefault(" ".join(tokens(each)), set()).add(each)
    said = f" {' '.join(tokens(text))} "
    found: set[str] = set()
    for words in sorted(by_words, key=len, reverse=True):
        if len(words) > 1 and not words.isdigit() and f" {words} " in said:
            said = said.replace(f" {words} ", " | ")
            found |= by_words[words]
    return found.pop() if len(found) == 1 else None


# Verdicts

VERDICTS = ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
"""The labels of a question that offers none."""

_VERIFY = r"(?:support|refut|confirm|den[iy]|prov|disprov|verif|contradict|determin|conclud)\w*"
_NEITHER = re.compile(
    rf"\bnot enough (?:info|information|evidence)\b|\bneither(?=\s*$|\s+{_VERIFY})"
    r"|\binsufficient (?:info|information|evidence)\b|\b(?:unverifiable|inconclusive|undetermined"
    r"|nei)\b|\b(?:cannot|can['’]t|can not|could not) be (?:verified|determined|confirmed)\b"
)
_UNTRUE = r"(?:true|correct|accurate)"
_REFUTED = re.compile(
    rf"\brefut(?:es?|ed|ing)\b|\bcontradict(?:s|ed|ing)?\b|\b(?:false|untrue|incorrect|inaccurate"
    rf"|disproved|disproven)\b|(?:\bnot|n['’]t)\s+(?:\w+\s+)?{_UNTRUE}\b"
)
_SUPPORTED = re.compile(
    rf"\bsupport(?:s|ed|ing)?\b|\b{_UNTRUE}\b|\b(?:confirm(?:s|ed)|verified|proven)\b"
)
# what is said not to be so: "does not support" may be refuted, or not enough
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot|no|nothing|none|neither|nor)|n['’]t)\s+(?:\w+\s+){0,3}?"
    r"(?:(?:support|refut|contradict|confirm|disprov)\w*|false|untrue|incorrect|inaccurate)\b"
    r"|\bunsupported\b"
)
_VERDICT_CLAUSE = re.compile(r"[.,:;!?/\n()]|\s[-–—]\s|\bbecause\b|\bsince\b")
_LEAD_IN = re.compile(
    r"^(?:(?:so|thus|hence|therefore|the|this|my) )*(?:(?:claim|statement|evidence|passages?|answer"
    r"|label|verdict|it) )?(?:(?:is|are) )?(?:clearly )?"
)


def verdict(reply: str, question: Question) -> str | None:
    """The label that a reply gives, as the question writes it.

    A clause that is nothing but a verdict counts before what is said around it.
    """
    labels = question.choices or VERDICTS
    text = _cleaned(reply).replace("_", " ").casefold()
    stated: set[str] = set()
    around: set[str] = set()
    for clause in _VERDICT_CLAUSE.split(text):
        bare = _LEAD_IN.sub("", " ".join(clause.split()).strip("\"'“”‘’*"))
        same = [label for label in labels if _plain(label) == bare]
        if same:
            stated.add(same[0])
            continue
        kinds = _kinds(clause)
        is_whole = any(kind.fullmatch(bare) for kind in (_NEITHER, _REFUTED, _SUPPORTED))
        for kind in kinds:
            label = _label_of(kind, labels)
            # a verdict that the question does not offer is one all the same
            (stated if is_whole else around).add(label or kind)
    found = stated or around
    only = found.pop() if len(found) == 1 else None
    return only if only in labels else None


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").casefold().split())


def _kinds(text: str) -> set[str]:
    """``supported``, ``refuted`` or ``neither``: which of them a text says."""
    if _NEITHER.search(text):
        return {"neither"}
    kinds = set()
    text = _DENIED.sub(" ", text)
    if _REFUTED.search(text):
        kinds.add("refuted")
        text = _REFUTED.sub(" ", text)
    if _SUPPORTED.search(text):
        kinds.add("supported")
    return kinds


def _label_of(kind: str, labels: Sequence[str]) -> str | None:
    """The one label that means this."""
    found = [label for label in labels if _kinds(_plain(label)) == {kind}]
    return found[0] if len(found) == 1 else None
=======
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
    r"(?:\s+(?:be|is|the|answer|option|choice))*\s*[(\[\"'“‘]*\Z",
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
>>>>>>> w-g19b
