"""A reader of rules, without weights."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from radio.generators.base import Generator, Prompt, what_is_read
from radio.ranges import check
from radio.schema import Passage
from radio.text import sentences

_STOPWORDS = frozenset(
    """a about above after again all also although always am among an and any are as at be because
    been before being below between both but by can could did do does doing down during each even
    ever every few for from further get gets give gives given had has have having he her here hers
    him his how however i if in into is it its itself just kind like made make makes making many may
    me might more most much must my name no nor not now of off often on once one only or other our
    out over own part per rather same she should since so some still such take takes than that the
    their them then there these they thing things this those though through thus to too type under
    until up upon us use used uses using very was we were what when where whether which while who
    whom whose why will with within without would yet you your""".split()
)
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion half dozen""".split()
)
_UNITS = frozenset(
    """percent degrees degree metres meters metre kilometres kilometers miles feet years year months
    days hours minutes seconds weeks centuries people kilograms tonnes tons grams litres
    times""".split()
)
_OPENERS = frozenset("a an the of by called named is are was were from with".split())
_NOUN_ENDINGS = tuple("tion sion ity ness ment ance ence ism ine ide ium ase sis".split())
_PERSON = r"""
    man|woman|person|king|queen|emperor|scientist|engineer|inventor|explorer|physician|doctor|
    surgeon|chemist|physicist|astronomer|biologist|botanist|frenchman|englishman|german|american|
    leader|architect|painter|writer|author|monk|merchant|pioneer|astronaut|nurse|geologist|
    mathematician|clockmaker|sailor|captain|general|politician"""
_PLACE = r"""
    country|city|town|village|island|river|sea|ocean|state|nation|port|mountain|empire|lake|
    continent|region|place|desert|volcano|kingdom|province|people"""
_WORD = re.compile(r"\w+(?:[-'’.,]\w+)*")


class SpanReader(Generator):
    """A deterministic reader without weights: it copies a span from the passages by a few rules of
    thumb.

    It is a heuristic, not a language model, and its EM is low. What it is for: a generator that
    runs anywhere in milliseconds and can only answer from the passages that it is given, so that
    better passages show. A candidate span has 1 to ``max_words`` words of one sentence, none of
    them from the question, and neither begins nor ends with a function word. Its mentions are
    scored by the rarity and nearness of the question's words around them (proximity), by whether it
    is the kind of thing that the question asks for and stands where a name or noun phrase would, by
    the rank of the passage, and by how often it comes back in that passage and is absent from the
    others (redundancy and specificity).

    Args:
        max_words: longest answer in words.
        rank_discount: weight of the passage at 0-based rank r is ``rank_discount ** r``: the reader
            trusts the order.
    """

    identity = "SpanReader"
    copies_spans = True

    def __init__(self, max_words: int = 3, rank_discount: float = 0.3) -> None:
        check(self, locals())
        self.max_words = max_words
        self.rank_discount = rank_discount

    def asked(self, prompt: Prompt) -> list[Any]:
        return what_is_read(prompt)

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> str:
        question = prompt.question.question
        wanted = _wanted(question)
        terms = {_stem(word) for word in _words(question)} - {""}
        texts = [f" {_stemmed(passage.text)} " for passage in prompt.passages]
        found = _sentences(prompt.passages)
        rarity = _rarity(terms, found)
        best: dict[str, float] = {}
        surface: dict[str, str] = {}
        for rank, sentence, words in found:
            # where the question's words stand, and what each of them is worth
            hits = []
            for position, word in enumerate(words):
                stem = _stem(word.group())
                if stem in rarity:
                    hits.append((position, rarity[stem]))
            for span, start, end in self._spans(words, sentence, terms):
                key = _stemmed(span)
                counts = [text.count(f" {key} ") for text in texts]
                repeated = math.log(1 + counts[rank])
                shared = sum(count > 0 for count in counts)
                nearness = []
                for position, value in hits:
                    distance = min(abs(position - start), abs(position - end))
                    nearness.append(value / (1 + distance) ** 0.6)
                score = (
                    (0.8 + sum(nearness)) * self.rank_discount**rank * repeated**0.7 / shared**0.5
                )
                fits = _fits(span, wanted, first=start == 0)
                score *= fits * _stands(words, sentence, start, end)
                if score > best.get(key, 0.0):
                    best[key], surface[key] = score, span
        return surface[max(sorted(best), key=lambda key: best[key])] if best else ""

    def _spans(
        self, words: list[re.Match[str]], sentence: str, terms: set[str]
    ) -> Iterator[tuple[str, int, int]]:
        """Candidate spans with the positions of their first and last word; none crosses
        punctuation."""
        for start, first in enumerate(words):
            if first.group().lower() in _STOPWORDS:
                continue
            for end in range(start, min(start + self.max_words, len(words))):
                word = words[end].group()
                is_cut = end > start and _between(sentence, words, end - 1) != " "
                if _stem(word) in terms or is_cut:
                    break
                if word.lower() not in _STOPWORDS:
                    yield sentence[first.start() : words[end].end()], start, end


Sentence = tuple[int, str, list[re.Match[str]]]
"""Rank of its passage, text and words of a sentence."""


def _sentences(passages: Sequence[Passage]) -> list[Sentence]:
    found = []
    for rank, passage in enumerate(passages):
        for sentence in sentences(passage.text):
            found.append((rank, sentence, list(_WORD.finditer(sentence))))
    return found


def _rarity(terms: set[str], found: Sequence[Sentence]) -> dict[str, float]:
    """How much each of the question's words says that stands in a sentence: the fewer sentences,
    the more."""
    frequency: Counter[str] = Counter()
    for _, _, words in found:
        frequency.update({_stem(word.group()) for word in words})
    rarity = {}
    for term in terms:
        if frequency[term]:
            rarity[term] = math.log(1 + len(found) / frequency[term])
    return rarity


def _words(text: str, *, keep: bool = False) -> list[str]:
    """Lower-cased words, with or without the function words."""
    words = [match.group().lower() for match in _WORD.finditer(text)]
    return [word for word in words if keep or word not in _STOPWORDS]


def _stemmed(text: str) -> str:
    """The stems of a text, and its function words as they are."""
    return " ".join(_stem(word) or word for word in _words(text, keep=True))


def _stem(word: str) -> str:
    """A crude stem, enough to match plural and verb forms; function words become the empty
    string."""
    word = word.lower()
    if word in _STOPWORDS:
        return ""
    for suffix in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def _wanted(question: str) -> str:
    """The kind of answer that the question asks for: year, number, name or thing."""
    text = question.lower()
    if re.search(r"\b(what|which) (year|century|decade)\b|^when\b|\bsince when\b", text):
        return "year"
    if re.search(
        r"\bhow (many|much|long|far|tall|deep|high|old|often|fast|hot|large|big|wide|heavy)\b", text
    ):
        return "number"
    name = re.sub(r"\s+", "", f"({_PERSON}|{_PLACE})")
    if re.search(rf"^(who|whom|whose|where)\b|\b(which|what)( [\w-]+){{0,2}}? {name}\b", text):
        return "name"
    return "thing"


def _fits(span: str, wanted: str, *, first: bool) -> float:
    """How well a span looks like the kind of answer wanted; 1 is neutral."""
    words = span.split()
    lowered = [word.lower().strip(".,") for word in words]
    is_number = any(word[0].isdigit() for word in words)
    for word in lowered:
        # twenty-one
        is_number = is_number or any(part in _NUMBER_WORDS for part in word.split("-"))
    names = sum(word[0].isupper() for word in words)
    if first and words[0][0].isupper():
        # a capital at the start of a sentence says nothing
        names -= 1
    if wanted == "year":
        if re.fullmatch(r"1\d{3}|20\d{2}", span):
            return 3.0
        return 1.0 if is_number else 0.1
    if wanted == "number":
        if not is_number:
            return 0.1
        has_unit = len(words) == 2 and lowered[-1] in _UNITS
        return 2.0 if len(words) == 1 or has_unit else 0.8
    if wanted == "name":
        return 1.0 + 0.5 * len(words) if names == len(words) else 0.3
    return 0.1 if is_number or names == len(words) else 1.0


def _stands(words: list[re.Match[str]], sentence: str, start: int, end: int) -> float:
    """Whether the span stands where a noun phrase would, judged by its neighbours and its endings;
    1 is neutral."""
    before = words[start - 1].group().lower() if start else ""
    after = words[end + 1].group().lower() if end + 1 < len(words) else ""
    score = 1.0
    if not before or before in _STOPWORDS or _between(sentence, words, start - 1) != " ":
        score *= 1.5 if before in _OPENERS else 1.3
    if not after or after in _STOPWORDS or _between(sentence, words, end) != " ":
        score *= 1.1
    if words[start].group().lower().endswith("ly"):
        score *= 0.5
    last = words[end].group().lower()
    if last.endswith(_NOUN_ENDINGS):
        score *= 1.2
    return score * (1.5 if len(last) > 6 else 1.0)


def _between(sentence: str, words: list[re.Match[str]], index: int) -> str:
    """What stands between a word and the next one."""
    return sentence[words[index].end() : words[index + 1].start()]
