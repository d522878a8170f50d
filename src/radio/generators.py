"""Generators: answer a question from the passages they are given."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from radio.cache import Fingerprinted, fingerprint
from radio.schema import Passage, Question


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is asked: a question and the passages to read, best first."""

    question: Question
    passages: tuple[Passage, ...]


class Generator(Fingerprinted):
    """Answers prompts. A subclass implements :meth:`answer`; the golden answers are not for its eyes."""

    @abstractmethod
    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        """One answer for each prompt, in order; an empty string means no answer."""

    def key(self, prompt: Prompt) -> str:
        """Cache key: the same generator, question and passages in the same order are asked once."""
        question = prompt.question
        return fingerprint(
            [
                "answer",
                self.fingerprint(),
                question.question,
                question.choices,
                [passage.contents for passage in prompt.passages],
            ]
        )


_STOPWORDS = frozenset(
    """a about above after again all also although always am among an and any are as at be because been before being
    below between both but by can could did do does doing down during each even ever every few for from further get
    gets give gives given had has have having he her here hers him his how however i if in into is it its itself just
    kind like made make makes making many may me might more most much must my name no nor not now of off often on once
    one only or other our out over own part per rather same she should since so some still such take takes than that
    the their them then there these they thing things this those though through thus to too type under until up upon
    us use used uses using very was we were what when where whether which while who whom whose why will with within
    without would yet you your""".split()
)
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half
    dozen""".split()
)
_UNITS = frozenset(
    """percent degrees degree metres meters metre kilometres kilometers miles feet years year months days hours
    minutes seconds weeks centuries people kilograms tonnes tons grams litres times""".split()
)
_WORD = re.compile(r"\w+(?:[-'’.,]\w+)*")


class SpanReader(Generator):
    """A deterministic reader without weights: it copies the span that stands nearest to the question's rare words.

    It is a heuristic, not a language model, and its EM is low; what it is for is a generator that runs anywhere in
    milliseconds and that can only answer from the passages it is given, so that better passages show. Each candidate
    span (1 to ``max_words`` words of one sentence, none of them from the question) is scored by the rarity and nearness of
    the question's words around it, by the rank of its passage, by whether it is the kind of thing that the question
    asks for (number, year, name), and by how often it comes back in other sentences.

    Args:
        max_words: longest answer in words.
        rank_discount: weight of the passage at 0-based rank r is ``rank_discount ** r``.
    """

    def __init__(self, max_words: int = 4, rank_discount: float = 0.6) -> None:
        self.max_words = max_words
        self.rank_discount = rank_discount

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> str:
        wanted = _wanted(prompt.question.question)
        terms = {_stem(word) for word in _words(prompt.question.question)} - {""}
        sentences = [
            (rank, sentence)
            for rank, passage in enumerate(prompt.passages)
            for sentence in re.split(r"(?<=[.!?])\s+", passage.text)
        ]
        parsed = [(rank, list(_WORD.finditer(sentence)), sentence) for rank, sentence in sentences]
        frequency = Counter(stem for _, words, _ in parsed for stem in {_stem(w.group()) for w in words})
        rarity = {term: math.log(1 + len(parsed) / (1 + frequency[term])) for term in terms if frequency[term]}
        best: defaultdict[str, float] = defaultdict(float)
        surface: dict[str, str] = {}
        for rank, words, sentence in parsed:
            hits = [(i, rarity[stem]) for i, w in enumerate(words) if (stem := _stem(w.group())) in rarity]
            weight = self.rank_discount**rank
            for span, start, end in self._spans(words, sentence, terms):
                near = sum(value / (1 + min(abs(i - start), abs(i - end))) ** 0.5 for i, value in hits)
                score = weight * (0.2 + near) * _fits(span, wanted, first=start == 0)
                key = span.lower()
                # the best mention counts in full, the others as support
                high, low = max(best[key], score), min(best[key], score)
                best[key] = high + 0.2 * low
                surface.setdefault(key, span)
        if not best:
            return ""
        return surface[max(sorted(best), key=lambda key: best[key])]

    def _spans(
        self, words: list[re.Match[str]], sentence: str, terms: set[str]
    ) -> list[tuple[str, int, int]]:
        """Spans that neither begin nor end with a function word, hold no question word and cross no punctuation."""
        spans = []
        for start, first in enumerate(words):
            if first.group().lower() in _STOPWORDS:
                continue
            for end in range(start, min(start + self.max_words, len(words))):
                word = words[end].group()
                if _stem(word) in terms:
                    break
                if end > start and re.search(r"[,;:()\"]", sentence[words[end - 1].end() : words[end].start()]):
                    break
                if word.lower() not in _STOPWORDS:
                    spans.append((sentence[first.start() : words[end].end()], start, end))
        return spans


def _words(text: str) -> list[str]:
    return [w for w in (m.group().lower() for m in _WORD.finditer(text)) if w not in _STOPWORDS]


def _stem(word: str) -> str:
    """A crude stem, enough to match plural and verb forms; function words become the empty string."""
    word = word.lower()
    if word in _STOPWORDS:
        return ""
    for suffix in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def _wanted(question: str) -> str:
    """The kind of answer that the first words ask for: year, number, name or thing."""
    text = question.lower()
    if re.search(r"\b(what|which) (year|century|decade)\b|^when\b|\bsince when\b", text):
        return "year"
    if re.search(r"\bhow (many|much|long|far|tall|deep|high|old|often|fast|hot|large|big|wide|heavy)\b", text):
        return "number"
    if re.search(r"^(who|whom|whose|where)\b|\b(which|what) (man|woman|person|king|queen|scientist|engineer|inventor|"
                 r"explorer|physician|doctor|chemist|physicist|astronomer|country|city|town|island|river|sea|ocean|"
                 r"state|nation|port|mountain|empire|people|port|lake|continent|region|company)\b", text):
        return "name"
    return "thing"


def _fits(span: str, wanted: str, *, first: bool) -> float:
    """How well a span looks like the kind of answer wanted; 1 is neutral."""
    words = span.split()
    lowered = [w.lower().strip(".,") for w in words]
    number = any(w[0].isdigit() for w in words) or any(part in _NUMBER_WORDS for w in lowered for part in w.split("-"))
    capital = sum(w[0].isupper() for w in words)
    if wanted == "year":
        return 3.0 if re.fullmatch(r"1\d{3}|20\d{2}", span) else (1.2 if number else 0.2)
    if wanted == "number":
        if not number:
            return 0.2
        return 2.0 if len(words) == 1 or (len(words) == 2 and lowered[-1] in _UNITS) else 1.0
    if wanted == "name":
        # a capital at the start of a sentence says nothing
        names = capital - (1 if first and words[0][0].isupper() else 0)
        return 1.0 + 1.5 * names / len(words) if capital == len(words) and names else 0.4
    return (0.5 if number else 1.0) * (1.1 if len(words) <= 2 else 0.9)
