"""Checks of a rationale: which of the ways to be of no use as a teacher it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from radio import contracts
from radio.cache import Cache
from radio.encoders import Encoder
from radio.fingerprints import Fingerprinted, fingerprint
from radio.ranges import check
from radio.rationales.judges import KEY, Judge
from radio.rationales.wording import content_words, mentions_answer, refuses, stems, words
from radio.schema import InputError, Passage, Question, Rationale
from radio.text import findable, has_answer

CHECKS = (
    "empty",
    "refusal",
    "truncated",
    "no_answer",
    "repeats",
    "too_long",
    "contradicts",
    "unsupported",
)

Item = tuple[Question, Rationale, Sequence[Passage]]
Test = Callable[[Question, Rationale], bool]


class Support(NamedTuple):
    """The candidate nearest to a rationale: its id and the cosine of the two."""

    passage_id: str
    similarity: float


def best_passages(items: Sequence[Item], encoder: Encoder, cache: Cache) -> dict[str, Support]:
    """The nearest candidate of each rationale, by question id; computed once and kept in the cache.

    A question without candidates, or with an empty rationale, is left out.
    """
    identity = encoder.fingerprint()
    keys: dict[str, str] = {}
    asked: dict[str, Pair] = {}
    for question, rationale, passages in items:
        if passages and rationale.text.strip():
            shown = [[passage.id, passage.contents] for passage in passages]
            key = fingerprint(["nearest candidate", identity, rationale.text, shown])
            keys[question.id] = key
            asked[key] = rationale.text, passages
    missing = cache.missing(list(asked))
    # some at a time: the embeddings of all candidates of a large split need not fit into memory
    for start in range(0, len(missing), 256):
        chunk = missing[start : start + 256]
        nearest = _nearest([asked[key] for key in chunk], encoder, cache)
        cache.put_json("check", dict(zip(chunk, nearest, strict=True)))
    stored = cache.get_json(keys.values(), _as_support)
    return {question: stored[key] for question, key in keys.items()}


Pair = tuple[str, Sequence[Passage]]
"""A rationale's text and its candidates."""


def _nearest(pairs: Sequence[Pair], encoder: Encoder, cache: Cache) -> list[Support]:
    """The candidate nearest to each rationale; of two that are equally near, the first."""
    texts = encoder.encode(
        [text for text, _ in pairs], cache, query=True, title="checks: embed rationales"
    )
    place: dict[str, int] = {}
    for _, passages in pairs:
        for passage in passages:
            place.setdefault(passage.contents, len(place))
    vectors = encoder.encode(list(place), cache, title="checks: embed passages")
    nearest = []
    for (_, passages), text in zip(pairs, texts, strict=True):
        candidates = vectors[[place[passage.contents] for passage in passages]]
        cosines = candidates @ text
        if encoder.similarity == "dot":
            # longer than 1, and the limit is one of cosines
            cosines = cosines / (np.linalg.norm(candidates, axis=1) * np.linalg.norm(text))
        best = int(cosines.argmax())
        nearest.append(Support(passages[best].id, float(cosines[best])))
    return nearest


def _as_support(value: Any) -> Support:
    identifier, similarity = value
    return Support(str(identifier), float(similarity))


class QualityChecks(Fingerprinted):
    """Limits and models of the checks.

    Each check is made for itself, so an empty text also lacks the answer.

    - ``empty``: there is no text. ``refusal``: the model declined, by its own word or by how the
      text begins. ``truncated``: the text was cut off at the limit of tokens.
    - ``no_answer``: no golden answer is mentioned (:func:`mentions_answer`), of those that are no
      verdict.
    - ``repeats``: it has too few content words beyond those of the question and its answers.
    - ``too_long``: too many words.
    - ``contradicts``: a judge finds that it contradicts the answers.
    - ``unsupported``: no candidate passage is similar enough.

    Args:
        max_words: words above which a rationale is ``too_long``.
        min_new_words: distinct content words of its own below which a rationale ``repeats``.
        min_similarity: cosine to the nearest candidate below which it is ``unsupported``. What is
            similar differs from encoder to encoder (e5 gives almost any two texts 0.7): look at
            ``radio rationales report`` first.
        encoder: embeds rationales and passages; ``unsupported`` needs one.
        judge: ``contradicts`` needs one.
    """

    identity = "QualityChecks"

    def __init__(
        self,
        max_words: int = 300,
        min_new_words: int = 5,
        min_similarity: float = 0.3,
        encoder: Encoder | None = None,
        judge: Judge | None = None,
    ) -> None:
        check(self, locals())
        self.max_words = max_words
        self.min_new_words = min_new_words
        self.min_similarity = min_similarity
        self.encoder = encoder
        self.judge = judge

    @property
    def available(self) -> tuple[str, ...]:
        """Checks that can be made with the models that were given."""
        lacking = {"contradicts": self.judge, "unsupported": self.encoder}
        return tuple(name for name in CHECKS if lacking.get(name, self) is not None)

    def run(
        self, items: Sequence[Item], cache: Cache, names: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        """Names of the checks that each rationale fails, by question id.

        Args:
            items: questions with their rationales and all their candidates.
            cache: keeps embeddings and verdicts, so that only the first call loads a model.
            names: the checks to make; None makes all that can be made with the models given.

        Raises:
            InputError: a check without its model, or an unknown one.
        """
        names = self.available if names is None else names
        for name in names:
            self._check_name(name)
        fails = self._tests(names, items, cache)
        failed = {}
        for question, rationale, _ in items:
            failed[question.id] = [name for name in names if fails[name](question, rationale)]
        return failed

    def _check_name(self, name: str) -> None:
        if name not in CHECKS:
            raise InputError(
                f"rationale check: found {name!r}, expected some of {', '.join(CHECKS)}"
            )
        if name not in self.available:
            part, what = (
                ("judge", "a Judge") if name == "contradicts" else ("encoder", "an Encoder")
            )
            raise InputError(
                f"{KEY}.{part}: found null, expected {what}: the check {name!r} needs one"
            )

    def _tests(self, names: Sequence[str], items: Sequence[Item], cache: Cache) -> dict[str, Test]:
        """By name, whether a rationale fails; what needs a model is asked of it for all at once."""
        tests: dict[str, Test] = {
            "empty": lambda _, rationale: (
                not rationale.text.strip() and rationale.outcome != "refused"
            ),
            "refusal": lambda _, rationale: (
                rationale.outcome == "refused" or refuses(rationale.text)
            ),
            "truncated": lambda _, rationale: rationale.outcome == "truncated",
            "no_answer": lambda question, rationale: (
                findable(question.golden_answers) and not mentions_answer(rationale.text, question)
            ),
            "repeats": self._repeats,
            "too_long": lambda _, rationale: len(words(rationale.text)) > self.max_words,
        }
        if "contradicts" in names and self.judge is not None:
            threshold, verdicts = self.judge.threshold, self._verdicts(items, cache)
            # what was not judged does not contradict
            tests["contradicts"] = lambda question, _: (
                question.id in verdicts and verdicts[question.id] >= threshold
            )
        if "unsupported" in names and self.encoder is not None:
            best = best_passages(items, self.encoder, cache)
            tests["unsupported"] = lambda question, _: (
                question.id not in best or best[question.id].similarity < self.min_similarity
            )
        return tests

    def _repeats(self, question: Question, rationale: Rationale) -> bool:
        # of many aliases only those that are said: the others would only take words away
        answers = question.golden_answers
        said = [answer for answer in answers if has_answer(rationale.text, [answer])]
        given = " ".join([question.question, *(said or answers)])
        return len(content_words(rationale.text) - set(stems(given))) < self.min_new_words

    def _verdicts(self, items: Sequence[Item], cache: Cache) -> dict[str, float]:
        """Probability of a contradiction by question id, where there is text and answer."""
        judge = self.judge
        assert judge is not None, "run() has looked"
        identity = judge.fingerprint()
        keys: dict[str, str] = {}
        pairs: dict[str, tuple[Question, Rationale]] = {}
        for question, rationale, _ in items:
            if rationale.text.strip() and question.golden_answers:
                asked = [question.content, rationale.content]
                key = fingerprint(["contradicts/2", identity, *asked])
                keys[question.id] = key
                pairs[key] = question, rationale
        missing = cache.missing(list(pairs))
        if missing:
            from tqdm import tqdm

            with tqdm(total=len(missing), desc="checks: judge", unit="rationale") as bar:
                for start in range(0, len(missing), 256):
                    chunk = missing[start : start + 256]
                    answers = judge.contradicts([pairs[key] for key in chunk])
                    found = contracts.numbers(
                        judge, "contradicts", answers, len(chunk), "the pairs"
                    )
                    cache.put_json("check", dict(zip(chunk, found, strict=True)))
                    bar.update(len(chunk))
        stored = cache.get_json(keys.values(), float)
        return {question: stored[key] for question, key in keys.items()}
