"""The words of a rationale: refusals, and answers that it mentions."""

from __future__ import annotations

import unicodedata

import regex

from radio.schema import Question
from radio.text import has_answer

# scripts that put no space between words: each character counts as one
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"


_WORD = regex.compile(rf"(?V1){_UNSPACED}|[[\p{{L}}\p{{N}}]--{_UNSPACED}]+")


_SUFFIX = regex.compile(r"(?<=\w{3})(?:ing|ed|ly|ies|es|s|e|y)$")


_STOP_WORDS = frozenset(
    "a about above after again against all also although am an and another any are as at be "
    "because been before being below between both but by can cannot could did do does doing done "
    "down during each either even ever every few for from further had has have having he hence "
    "her here hers herself him himself his how however i if in into is it its itself just made "
    "make makes many may me might more most much must my myself neither no nor not now of off on "
    "once one only or other our ours out over own same shall she should since so some such than "
    "that the their theirs them themselves then there therefore these they this those though "
    "through thus to too under until up upon us very was we were what when where whether which "
    "while who whom whose why will with within without would yet you your yours yourself s t d ll "
    "m re ve "
    # what a sentence about an answer says whatever the answer is
    "answer answered answers answering called choice correct correctly known named option question "
    "questions right "
    "said true".split()
)


_DIGITS = {
    name: str(number)
    for number, name in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}


_POLARITY = frozenset("yes no true false not right wrong".split())
"""Words of answers that a rationale gives by what it says, not by the word."""


# Only what a model says of itself, in the first person and in the case of a sentence: "I Can't
# Explain" and "I'm Sorry" are songs, "I cannot be divided" is a proof, and "There is not enough
# evidence" may be why the answer is right.
_SORRY = r"(?:I(?:'m| am) (?:\w+ )?sorry|[Ss]orry|I apologi[sz]e|My apologies)"


_CANNOT = (
    r"(?:can(?:'t|not| not)|could(?:n't| not)|won't|will not|(?:am|'m) (?:not able|unable) to)"
)


_DO = (
    r"(?:help(?: you| with| here|[.,;]|$)|assist|provide|verify|confirm|answer|comply|fulfil"
    r"|respond|complete|write|give|offer|generate|produce|create|explain|justify|support|determine"
    r"|find|access|browse|discuss|share|engage|continue|say\b|do (?:that|this|so)\b"
    r"|in good conscience)"
)


_DECLINE = (
    rf"[Ii](?: simply| really| also)? ?(?:{_CANNOT} (?:\w+ly )?{_DO}"
    r"|(?:must|have to|need to|will have to) (?:respectfully )?(?:decline|refuse)"
    r"|(?:'m| am) not (?:comfortable|allowed|permitted|in a position)"
    r"|(?:do not|don't) (?:know|have (?:access|enough|sufficient|the ability|any information)"
    r"|feel comfortable)\b)"
)


_REFUSAL = regex.compile(
    r"[\s*_#>-]*(?:(?:Rationale|Answer|Response): *)?"
    r"(?:As an? (?:AI|artificial intelligence|(?:large )?language model)\b[\w ]{0,30},? "
    r"(?:I|it is not|it's not|my)\b"
    rf"|{_SORRY}[,.]? but\b"
    rf"|(?:(?:{_SORRY}|I(?:'m| am) (?:\w+ )?afraid|Unfortunately)[,.]? (?:that )?)?{_DECLINE})"
)


def words(text: str) -> list[str]:
    """Words of a text without case and accents; in scripts without spaces each character is one."""
    bare = regex.sub(r"\p{M}+", "", unicodedata.normalize("NFKD", text)).lower()
    return _WORD.findall(bare)


def stems(text: str) -> list[str]:
    """Words without English endings, small numbers as digits: "refuted" counts as "REFUTES"."""
    return [_DIGITS.get(word) or _SUFFIX.sub("", word) for word in words(text)]


def content_words(text: str) -> set[str]:
    """Stems of the words that carry content."""
    return {stem for word in words(text) if word not in _STOP_WORDS for stem in stems(word)}


def refuses(text: str) -> bool:
    """Whether a text begins as models do when they decline: "I'm sorry, but", "I can't help"."""
    return _REFUSAL.match(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None


def mentions_answer(text: str, question: Question) -> bool:
    """Whether a text says one of the golden answers, or there is none that could be looked for.

    It stands there as a run of words, or its content words do in any order (half of them, if there
    are more than two: a long answer is seldom repeated word for word); of a multiple choice the
    letter counts too, where it is used as one ("so B is correct"). Yes, no, true and false can not
    be looked for.
    """
    letters = {chr(ord("A") + place): choice for place, choice in enumerate(question.choices)}
    golden = set(question.golden_answers)
    # letters of right choices; a choice whose text is a letter is no letter
    named = []
    for letter, choice in letters.items():
        if choice in golden or letter in golden - set(letters.values()):
            named.append(letter)
    for letter in named:
        if regex.search(rf"(?:[\p{{Ll}},;:] \(?|\(){letter}\b|\b{letter} is\b", text):
            return True
    answers = [answer for answer in question.golden_answers if answer not in named]
    answers += [letters[letter] for letter in named]
    if has_answer(text, answers):
        return True
    known = [answer for answer in answers if words(answer)]
    # where no answer has words, there is none to look for
    return not known or any(_says(stems(text), answer) for answer in known)


def _says(said: list[str], answer: str) -> bool:
    """Whether the stems of a text give an answer, in its words or in most of them."""
    if set(words(answer)) <= _POLARITY:
        return True
    if f" {' '.join(stems(answer))} " in f" {' '.join(said)} ":
        return True
    content = content_words(answer)
    needed = len(content) / 2 if len(content) > 2 else len(content)
    return bool(content) and len(content & set(said)) >= needed
