"""The answer in a generator's reply, by rules; docs/generators.md has an example of each.

A parser sees the question as it was asked, never the golden answers. None says that no rule found
an answer, which counts as wrong and as unparsed.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from radio.schema import Question
from radio.text import normalise_question, tokens

LETTERS = string.ascii_uppercase
"""Of the choices, in order."""

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


# Choices

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
