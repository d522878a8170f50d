"""A language model puts the candidates into an order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from radio.cache import Cache
from radio.generators.base import Answer
from radio.generators.parsing import without_reasoning
from radio.llm.base import Failure, LanguageModel
from radio.models.messages import say
from radio.ranges import check
from radio.schema import InputError, RetrievedPassage
from radio.teachers.asking import Asking, not_answered
from radio.teachers.base import Lesson
from radio.teachers.prompting import Shown, first_words

FLAWS = ("repeated", "unknown", "missing", "unreadable", "refused", "truncated")
"""What may be wrong with a reply. Several may be true of one."""

_BRACKETED = re.compile(r"\[(\d+)\]")
_PLAIN = re.compile(r"\d+")


class Listwise(Asking):
    """A language model orders the passages, in windows that slide from the end of the ranking to
    its top (RankGPT, Sun et al., arXiv 2304.09542). The score of the passage at 0-based place p of
    n is ``1 - p / (n - 1)``: the best has 1, the last 0, a single one 0.5.

    A window of ``window`` passages is ordered by one call; the next one begins ``step`` places
    higher, so that what is good rises to the top. The calls for one question follow each other;
    those of all questions that are at the same window are asked together (a model with a batch
    interface has a batch for each window). Each is paid for once.

    It begins with the retriever's order, by ``rank``, whatever the order of the list of passages;
    with other ranks the model sees other prompts, and may give another order. There are no ties.

    Replies are repaired: numbers that come again or belong to no passage are dropped, passages
    without a number keep their old order behind the others; a reply without any number leaves the
    window as it was. How many replies had which flaw is said at the end (:attr:`counts`).

    Departures from the published code: the last window always reaches the top (there, candidates
    fewer than a window, or the first ones where steps do not end at 0, are not ordered at all);
    numbers count in brackets alone, where there are any (there "the 3 passages" counts as a 3); a
    window is one prompt, not a conversation; the temperature is that of ``sampling``.

    Args:
        model: who is asked. A prompt of 20 passages of 300 words has some 9,000 tokens: a model on
            this machine needs that ``max_length``, and a reply some 100 tokens.
        prompt: name of a shipped prompt, or path of a text file (:mod:`radio.teachers.prompting`).
        show: what the model is told of the answer: nothing (``question``), the golden ``answers``,
            the ``rationale``, or ``both``.
        window: passages that are ordered at a time.
        step: places by which the window moves; at most ``window``.
        passage_words: words of a passage that are shown.
    """

    identity = "Listwise"
    needs_set = True

    def __init__(
        self,
        model: LanguageModel,
        prompt: str = "listwise",
        show: Shown = "question",
        window: int = 20,
        step: int = 10,
        passage_words: int = 300,
    ) -> None:
        check(self, locals())
        if step > window:
            raise InputError(
                f"Listwise: step: found {step}, expected at most the window, {window}: passages "
                "between two windows would never be seen"
            )
        super().__init__(model, prompt, show)
        self.window = window
        self.step = step
        self.passage_words = passage_words
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Windows so far, ``ok`` ones and those with each of :data:`FLAWS`."""
        return self._counts

    def score_all(self, work: Sequence[Lesson], cache: Cache) -> Iterator[list[float]]:
        self._counts = Counter()
        orders = [sorted(lesson.passages, key=_place) for lesson in work]
        failed = self._order(work, orders, cache)
        self._tell()
        for lesson, order in zip(work, orders, strict=True):
            if lesson.question.id in failed:
                raise not_answered(self, failed, len(work))
            places = {passage.id: place for place, passage in enumerate(order)}
            last = len(order) - 1
            scores = []
            for passage in lesson.passages:
                scores.append(1 - places[passage.id] / last if last else 0.5)
            yield scores

    def _order(
        self, work: Sequence[Lesson], orders: list[list[RetrievedPassage]], cache: Cache
    ) -> dict[str, str]:
        """Bring the passages of each lesson into the model's order, window by window.

        Returns:
            Why, by id, of the questions of which a call failed.
        """
        windows = [self._windows(len(order)) for order in orders]
        deepest = max(map(len, windows), default=0)
        failed: dict[str, str] = {}
        for level in range(deepest):
            asked = []
            for number, lesson in enumerate(work):
                if level < len(windows[number]) and lesson.question.id not in failed:
                    asked.append(number)
            calls = []
            for number in asked:
                start, end = windows[number][level]
                shown = [first_words(p, self.passage_words) for p in orders[number][start:end]]
                calls.append(self._call(work[number], shown))
            title = f"listwise, window {level + 1} of {deepest}"
            questions = [work[number].question for number in asked]
            found = self._replies(title, calls, questions, cache)
            for number, reply in zip(asked, found, strict=True):
                if isinstance(reply, Failure):
                    failed[reply.question_id] = reply.error
                    continue
                start, end = windows[number][level]
                order = orders[number]
                order[start:end] = [
                    order[start + place] for place in self._read(reply, end - start)
                ]
        return failed

    def _windows(self, count: int) -> list[tuple[int, int]]:
        """Start and end of each window over so many passages, the last ones first."""
        windows = []
        end = count
        # a single passage has its order already
        while count > 1:
            start = max(0, end - self.window)
            windows.append((start, end))
            if start == 0:
                break
            end -= self.step
        return windows

    def _read(self, reply: Answer, count: int) -> list[int]:
        """The order that a reply gives to so many passages; its flaws are counted."""
        order, flaws = permutation(reply.text, count)
        if reply.outcome in ("refused", "truncated"):
            flaws.add(reply.outcome)
        self._counts["windows"] += 1
        self._counts.update(flaws or {"ok"})
        return order

    def _tell(self) -> None:
        """Say how many replies had to be repaired."""
        windows, ok = self._counts["windows"], self._counts["ok"]
        if windows == ok:
            return
        kinds = [f"{self._counts[flaw]:,} {flaw}" for flaw in FLAWS if self._counts[flaw]]
        say(
            f"Listwise: {windows - ok:,} of {windows:,} windows of {self._model.model} were not "
            f"well-formed and were repaired ({', '.join(kinds)})"
        )


def permutation(reply: str, count: int) -> tuple[list[int], set[str]]:
    """The order in a reply as 0-based places, each once, and which of :data:`FLAWS` it had.

    Args:
        reply: numbers from 1 on, in brackets or without.
        count: how many passages were shown.
    """
    text = without_reasoning(reply)
    numbers = [int(number) for number in _BRACKETED.findall(text) or _PLAIN.findall(text)]
    known = [number - 1 for number in numbers if 1 <= number <= count]
    if not known:
        return list(range(count)), {"unreadable"}
    order = list(dict.fromkeys(known))
    flaws = set()
    if len(known) < len(numbers):
        flaws.add("unknown")
    if len(order) < len(known):
        flaws.add("repeated")
    if len(order) < count:
        flaws.add("missing")
    rest = [place for place in range(count) if place not in set(order)]
    return order + rest, flaws


def _place(passage: RetrievedPassage) -> tuple[int, str]:
    return passage.rank, passage.id
