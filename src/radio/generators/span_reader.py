"""A reader of rules, without weights."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from radio.generators.base import Generator, Prompt, what_is_read
from radio.ranges import check

_STOPWORDS = frozenset(
    """a about above after again all also although always am among an and any are as at be because been
    before being below between both but by can could did do does doing down during each even ever
    every few for from further get gets give gives given had has have having he her here hers him
    his how however i if in into is it its itself just kind like made make makes making many may me
    might more most much must my name no nor not now of off often on once one only or other our out
    over own part per rather same she should since so some still such take takes than that the their
    them then there these they thing things this those though through thus to too type under until
    up upon us use used uses using very was we were what when where whether which while who whom
    whose why will with within without would yet you your""".split()
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
        wanted, terms = _wanted(question), {_stem(word) for word in _words(question)} - {""}
        texts = [
            " " + " ".join(_stem(w) or w for w in _words(p.text, keep=True)) + " "
            for p in prompt.passages
        ]
        parsed = [
            (rank, sentence, list(_WORD.finditer(sentence)))
            for rank, passage in enumerate(prompt.passages)
            for sentence in re.split(r"(?<=[.!?])\s+", passage.text)
        ]
        frequency = Counter(
            stem for _, _, words in parsed for stem in {_stem(w.group()) for w in words}
        )
        rarity = {t: math.log(1 + len(parsed) / frequency[t]) for t in terms if frequency[t]}
        best: dict[str, float] = {}
        surface: dict[str, str] = {}
        for rank, sentence, words in parsed:
            hits = [
                (i, rarity[stem])
                for i, w in enumerate(words)
                if (stem := _stem(w.group())) in rarity
            ]
            for span, start, end in self._spans(words, sentence, terms):
                key = " ".join(_stem(w) or w for w in _words(span, keep=True))
                counts = [text.count(f" {key} ") for text in texts]
                repeated = math.log(1 + counts[rank])
                shared = sum(count > 0 for count in counts)
                near = sum(
                    value / (1 + min(abs(i - start), abs(i - end))) ** 0.6 for i, value in hits
                )
                score = (0.8 + near) * self.rank_discount**rank * repeated**0.7 / shared**0.5
                score *= _fits(span, wanted, first=start == 0) * _stands(
                    words, sentence, start, end
                )
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
                if _stem(word) in terms or (
                    end > start and sentence[words[end - 1].end() : words[end].start()] != " "
                ):
                    break
                if word.lower() not in _STOPWORDS:
                    yield sentence[first.start() : words[end].end()], start, end


def _words(text: str, *, keep: bool = False) -> list[str]:
    """Lower-cased words, with or without the function words."""
    return [
        w for w in (m.group().lower() for m in _WORD.finditer(text)) if keep or w not in _STOPWORDS
    ]


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
    lowered = [w.lower().strip(".,") for w in words]
    number = any(w[0].isdigit() for w in words) or any(
        part in _NUMBER_WORDS for w in lowered for part in w.split("-")
    )
    # a capital at the start of a sentence says nothing
    names = sum(w[0].isupper() for w in words) - (1 if first and words[0][0].isupper() else 0)
    if wanted == "year":
        return 3.0 if re.fullmatch(r"1\d{3}|20\d{2}", span) else (1.0 if number else 0.1)
    if wanted == "number":
        if not number:
            return 0.1
        return 2.0 if len(words) == 1 or (len(words) == 2 and lowered[-1] in _UNITS) else 0.8
    if wanted == "name":
        return 1.0 + 0.5 * len(words) if names == len(words) else 0.3
    return 0.1 if number or names == len(words) else 1.0


def _stands(words: list[re.Match[str]], sentence: str, start: int, end: int) -> float:
    """Whether the span stands where a noun phrase would, judged by its neighbours and its endings;
    1 is neutral."""
    before = words[start - 1].group().lower() if start else ""
    after = words[end + 1].group().lower() if end + 1 < len(words) else ""
    score = 1.0
    if (
        not before
        or before in _STOPWORDS
        or sentence[words[start - 1].end() : words[start].start()] != " "
    ):
        score *= 1.5 if before in _OPENERS else 1.3
    if (
        not after
        or after in _STOPWORDS
        or sentence[words[end].end() : words[end + 1].start()] != " "
    ):
        score *= 1.1
    if words[start].group().lower().endswith("ly"):
        score *= 0.5
    last = words[end].group().lower()
    if last.endswith(_NOUN_ENDINGS):
        score *= 1.2
    return score * (1.5 if len(last) > 6 else 1.0)
