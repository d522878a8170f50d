"""How the label is found in a reply about a claim: by rules, each with an example in
docs/generators.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from radio.generators.parsing import mentioned, without_reasoning
from radio.schema import Question

LABELS = ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
"""Of questions that offer none of their own (FEVER's)."""

Verdict = Literal["supports", "refutes", "neither"]

_SUPPORTS = (
    r"(?:support(?:s|ed|ing)?|true|correct|accurate|confirm(?:s|ed)?|entail(?:s|ed|ment)?"
    r"|verified|proven)\b"
)
_REFUTES = (
    r"(?:refut(?:e|es|ed|ing)|false|incorrect|inaccurate|untrue|wrong"
    r"|contradict(?:s|ed|ing|ion|ory)?|disprov(?:e|es|ed|en)|debunked)\b"
)
_NOT = r"(?:\b(?:not|never|cannot|fails? to)|n['’]t)\s+"
_NO = rf"(?:{_NOT}|\b(?:nothing|none|no)\s+)"
# "not refuted but supported" denies one label alone
_SOME_WORDS = r"(?:(?!but\b)\w+\s+){0,2}?"
_ENOUGH = r"(?:enough|sufficient)(?:\s+(?:info|information|evidence|data|context))?\b"
_KNOWN = r"(?:be\s+)?(?:verif|determin|confirm|decid|assess|judg|conclu|tell\b|say\b)\w*"

# In this order: what one of them takes is not there for the next. "Neither supports nor refutes"
# names two labels and means a third, "not true" names one and means another.
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("neither", re.compile(r"\bneither\b(?:\W+\w+){0,6}?\W+nor\b\W+\w+|\bneither\b")),
    ("neither", re.compile(rf"{_NOT}(?:\w+\s+)??{_SUPPORTS}\s+(?:n?or)\s+{_REFUTES}")),
    ("neither", re.compile(rf"{_NOT}(?:\w+\s+)??{_REFUTES}\s+(?:n?or)\s+{_SUPPORTS}")),
    # what it is not enough for: "to support or refute the claim"
    ("neither", re.compile(rf"\bnot {_ENOUGH} to {_SUPPORTS}(?:\s+or\s+{_REFUTES})?")),
    ("neither", re.compile(rf"{_NOT}(?:\w+\s+)?{_ENOUGH}|\binsufficient\b(?:\s+\w+)?|\bnei\b")),
    ("neither", re.compile(rf"\b(?:no|lacks?)\s+{_ENOUGH}|\bno\s+(?:info\w*|evidence)\b")),
    (
        "neither",
        re.compile(
            rf"(?:\b(?:cannot|can not|could not|unable to|impossible to)|n['’]t)\s+{_KNOWN}"
            rf"|{_NOT}verifiable\b"
        ),
    ),
    (
        "neither",
        re.compile(r"\b(?:unverifi(?:able|ed)|unknown|undetermined|inconclusive|unclear)\b"),
    ),
    ("refutes", re.compile(rf"{_NOT}(?:true|correct|accurate|right)\b")),
    ("not supports", re.compile(rf"{_NO}{_SOME_WORDS}{_SUPPORTS}|\bunsupported\b")),
    ("not refutes", re.compile(rf"{_NO}{_SOME_WORDS}{_REFUTES}|\bunrefuted\b")),
    ("refutes", re.compile(rf"\b{_REFUTES}")),
    ("supports", re.compile(rf"\b{_SUPPORTS}")),
)
_MEANINGS: dict[frozenset[str], Verdict] = {
    frozenset({"supports"}): "supports",
    frozenset({"refutes"}): "refutes",
    frozenset({"neither"}): "neither",
    # one label is denied, the other one said
    frozenset({"supports", "not refutes"}): "supports",
    frozenset({"refutes", "not supports"}): "refutes",
    frozenset({"neither", "not supports"}): "neither",
    frozenset({"neither", "not refutes"}): "neither",
}
_YES_OR_NO: dict[str, Verdict] = {"yes": "supports", "no": "refutes"}
_LABEL_IS = re.compile(
    r"\b(?:answer|label|verdict|judg[e]?ment|classification)\s*(?:is\b\s*:?|:)\s*"
)
_CLAUSE = re.compile(r"[.,:;!\n(]|\s[-–—]\s")
_FEW_WORDS = 4
"""Of a beginning that is a label and no sentence: "The claim is true"."""


def verdict(reply: str, question: Question) -> str | None:
    """The label that a reply gives, as the question spells it (:attr:`Question.choices`; without
    any, as its golden answers do, or FEVER's).

    What is said after "Label:" or "The answer is" counts; else how the reply begins, if that is a
    label; else all of it. None if it says several, or none, or only what it is not, or one that is
    not offered.
    """
    text = _plain(without_reasoning(reply))
    offered = _offered(question)
    meanings = {label: _meaning(_plain(label)) for label in offered}
    if None in meanings.values() or len(set(meanings.values())) < len(meanings):
        # labels of other words, or several shades of true
        return _by_words(text, offered)
    said = _said(text)
    return next((label for label, meaning in meanings.items() if said and meaning == said), None)


def labels_of(question: Question) -> tuple[str, ...]:
    """What a prompt offers: the question's own labels, or FEVER's."""
    return question.choices or LABELS


def _offered(question: Question) -> list[str]:
    """The labels as the data spell them."""
    if question.choices:
        return list(question.choices)
    golden = {_meaning(_plain(label)): label for label in question.golden_answers}
    if None in golden:
        return list(dict.fromkeys(question.golden_answers))
    return [golden.get(_meaning(_plain(label)), label) for label in LABELS]


def _by_words(text: str, offered: Sequence[str]) -> str | None:
    spelt = {_plain(label): label for label in offered}
    said = text.strip(" .!\"'")
    found = said if said in spelt else mentioned(text, list(spelt))
    return spelt[found] if found is not None else None


def _said(text: str) -> Verdict | None:
    """What a reply says of a claim."""
    after = [text[match.end() :].splitlines() for match in _LABEL_IS.finditer(text)]
    named = {_meaning(_CLAUSE.split(lines[0])[0]) for lines in after if lines} - {None}
    if named:
        return named.pop() if len(named) == 1 else None
    beginning, *_ = _CLAUSE.split(text, maxsplit=1)
    meaning = _meaning(beginning) if len(beginning.split()) <= _FEW_WORDS else None
    if beginning.strip() in _YES_OR_NO:
        # the rest may say otherwise: "No, that is true"
        rest = _meaning(text[len(beginning) :])
        return meaning if rest in (None, meaning) else None
    if meaning and _another(text, meaning):
        return None
    return meaning or _meaning(text)


def _another(text: str, meaning: Verdict) -> bool:
    """Whether another clause is nothing but another label: "SUPPORTS, REFUTES"."""
    for clause in _CLAUSE.split(text):
        if len(clause.split()) == 1 and _meaning(clause) not in (None, meaning):
            return True
    return False


def _meaning(text: str) -> Verdict | None:
    """What the words of a text say, all taken together."""
    if text.strip() in _YES_OR_NO:
        return _YES_OR_NO[text.strip()]
    signs = set()
    for sign, pattern in _SIGNS:
        if pattern.search(text):
            signs.add(sign)
            text = pattern.sub(" ", text)
    return _MEANINGS.get(frozenset(signs))


def _plain(text: str) -> str:
    """Small letters, no underscores."""
    return text.replace("_", " ").lower().strip()
