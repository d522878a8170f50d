"""A language model says of each passage whether it is useful."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from radio.cache import Cache
from radio.generators.base import Answer
from radio.generators.parsing import without_reasoning
from radio.llm.base import Call, Failure, LanguageModel
from radio.models.messages import say
from radio.ranges import check
from radio.teachers.asking import Asking, not_answered
from radio.teachers.base import Lesson
from radio.teachers.prompting import Shown, first_words
from radio.teachers.rerankers import sigmoid

KIND = "judgement"
"""The kind of the cache's entries that are probabilities."""

WORDS = ("yes", "no")

PART = 64
"""Prompts that are judged and stored together: what a kill may cost."""

_FIRST = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_LABELLED = re.compile(r"\b(?:judge?ment|answer)\b(?:\s+is)?\W*\b(yes|no)\b", re.IGNORECASE)


class Utility(Asking):
    """Whether a language model finds a passage useful for answering the question, each passage by
    itself (Zhang et al., arXiv 2403.19216, pointwise). More is better; the scale is absolute.

    A model on this machine gives ``p(yes) / (p(yes) + p(no))``, from the likelihoods of the two
    words after the prompt. Of a model behind an API there is the text alone: ``yes`` is 1, ``no``
    is 0, and what says neither is 0.5, which is counted and said at the end (:attr:`counts`).

    With weights of 16 bits the logits of the two words come in steps of up to 0.125, so that scores
    do in steps of some 0.02, and passages tie that ``dtype: float32`` tells apart.

    Each passage has a prompt of its own, so that no score depends on the other candidates or on
    their order; equal texts have equal scores. Each prompt is computed or paid for once.

    Departures from the published code: there the model reasons first, and any " yes" in its text
    counts; here a reply is read where it begins, or after "Judgement:" or "Answer:", and reasoning
    in an element of its own (``<think>``) is passed over. The order-sensitive listwise judgements,
    shuffled and voted on there, are not made. The paper finds models to be very receptive to
    passages that are made to look useful; ``show: answers`` lets the model compare.

    Args:
        model: who is asked.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.teachers.prompting`).
        show: what the model is told of the answer: nothing (``question``), the golden ``answers``,
            the ``rationale``, or ``both``.
        passage_words: words of a passage that are shown.
    """

    identity = "Utility"

    def __init__(
        self,
        model: LanguageModel,
        prompt: str = "utility",
        show: Shown = "question",
        passage_words: int = 300,
    ) -> None:
        check(self, locals())
        super().__init__(model, prompt, show)
        self.passage_words = passage_words
        self.words = list(WORDS) if self._gives_probabilities else []
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Replies so far: ``yes``, ``no`` and ``unreadable`` ones."""
        return self._counts

    @property
    def _gives_probabilities(self) -> bool:
        return type(self._model).log_likelihood is not LanguageModel.log_likelihood

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        calls_of = []
        for lesson in work:
            calls = []
            for passage in lesson.passages:
                shown = first_words(passage, self.passage_words)
                calls.append(self._call(lesson, [shown], " ".join(self.words)))
            calls_of.append(calls)
        if self._gives_probabilities:
            return self._by_probability(calls_of, cache)
        return self._by_text(work, calls_of, cache)

    # A model on this machine

    def _by_probability(
        self, calls_of: Sequence[Sequence[Call]], cache: Cache
    ) -> Iterator[list[float]]:
        self._judge({call.key: call for calls in calls_of for call in calls}, cache)
        for calls in calls_of:
            keys = [call.key for call in calls]
            stored = cache.get_json(keys, _as_pair)
            scores = []
            for key in keys:
                yes, no = stored[key]
                scores.append(sigmoid(yes - no))
            yield scores

    def _judge(self, calls: dict[str, Call], cache: Cache) -> None:
        """Store the log-likelihoods of the two words after each prompt, a part at a time."""
        from tqdm import tqdm

        missing = cache.missing(list(calls))
        with tqdm(total=len(missing), desc="utility", unit="passage", leave=False) as bar:
            for start in range(0, len(missing), PART):
                keys = missing[start : start + PART]
                # side by side: a model may read a prompt once for both
                asked = [calls[key] for key in keys for _ in WORDS]
                found = self._model.log_likelihood(asked, list(WORDS) * len(keys))
                totals = [likelihood.total for likelihood in found]
                pairs = zip(totals[0::2], totals[1::2], strict=True)
                cache.put_json(KIND, dict(zip(keys, pairs, strict=True)))
                bar.update(len(keys))

    # A model behind an API

    def _by_text(
        self, work: Sequence[Lesson], calls_of: Sequence[Sequence[Call]], cache: Cache
    ) -> Iterator[list[float]]:
        self._counts = Counter()
        questions = [lesson.question for lesson in work]
        flat = [call for calls in calls_of for call in calls]
        results = self._replies("utility", flat, questions, cache)
        failed: dict[str, str] = {}
        values: list[float] = []
        for result in results:
            if isinstance(result, Failure):
                failed.setdefault(result.question_id, result.error)
                # never handed out
                values.append(0.5)
            else:
                values.append(self._read(result))
        self._tell()
        following = iter(values)
        for lesson, calls in zip(work, calls_of, strict=True):
            scores = [next(following) for _ in calls]
            if lesson.question.id in failed:
                raise not_answered(self, failed, len(work))
            yield scores

    def _read(self, reply: Answer) -> float:
        found = verdict(reply.text)
        self._counts[found or "unreadable"] += 1
        return {"yes": 1.0, "no": 0.0}.get(found or "", 0.5)

    def _tell(self) -> None:
        """Say how many replies could not be read."""
        unreadable = self._counts["unreadable"]
        if unreadable:
            say(
                f"Utility: {unreadable:,} of {self._counts.total():,} replies of "
                f"{self._model.model} say neither yes nor no, and count as 0.5"
            )


def verdict(reply: str) -> str | None:
    """``yes`` or ``no``, as a reply begins with it or names it as its judgement; None where it does
    neither."""
    text = without_reasoning(reply)
    labelled = _LABELLED.findall(text)
    if labelled:
        return str(labelled[-1]).lower()
    first = _FIRST.match(text)
    return first[1].lower() if first else None


def _as_pair(value: Any) -> tuple[float, float]:
    """The two log-likelihoods of an entry of the cache; anything else is an error of its form."""
    yes, no = value
    return float(yes), float(no)
