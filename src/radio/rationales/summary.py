"""The rationales of a split at a glance: numbers, warnings, and why some are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import regex

from radio.llm.outcomes import USELESS, kept_as_they_are
from radio.rationales.base import RationaleWriter
from radio.rationales.wording import mentions_answer, words
from radio.schema import Question, Rationale
from radio.text import findable

FEW = 10
"""Rationales below which shares say nothing."""

ENOUGH = 5_000
"""Rationales from which shares are known well enough."""

# Of 2,957 rationales of six datasets, written by two models and checked by people, 99.3 to 100 %
# mention an answer, 0.3 to 34 % that of the next question (letters of multiple choices), none is a
# copy, and they have 40 to 48 words.
MENTION, COPIES, SHORT, PAGES, SHIFT = 0.5, 0.2, 5.0, 0.02, 0.2

_PAGE = regex.compile(
    r"<!doctype html|<(html|head|body|script)\b[^>]*>|</(html|head|body|div|p)>", regex.IGNORECASE
)


@dataclass(frozen=True)
class Rationales:
    """The rationales of a split.

    Args:
        questions: all questions of the split.
        found: what the cache has, by question id.
        failed: names of the filters that each of these fails, by question id.
    """

    questions: Sequence[Question]
    found: Mapping[str, Rationale]
    failed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def kept(self) -> Mapping[str, Rationale]:
        """Those that pass the filters, by question id."""
        return Kept(self.found, self.failed)

    @property
    def missing(self) -> list[str]:
        """Ids of the questions for which there is none, or an answer that is no rationale."""
        no_rationale = {"empty", "refusal", "truncated"}
        missing = []
        for question in self.questions:
            failed = self.failed.get(question.id, ())
            if question.id not in self.found or no_rationale.intersection(failed):
                missing.append(question.id)
        return missing

    @property
    def left_out(self) -> str:
        """How many fail which filter; empty if none does."""
        counts: Counter[str] = Counter()
        for names in self.failed.values():
            counts.update(names)
        return _listed(counts)


class Kept(Mapping[str, Rationale]):
    """Rationales that fail no filter, each read when it is asked for.

    Args:
        found: all of them, by question id.
        failed: names of the filters that each of these fails, by question id.
    """

    def __init__(self, found: Mapping[str, Rationale], failed: Mapping[str, Sequence[str]]) -> None:
        self._found = found
        self._failed = failed

    def __getitem__(self, question: str) -> Rationale:
        if self._failed.get(question):
            raise KeyError(question)
        return self._found[question]

    def __contains__(self, question: object) -> bool:
        return question in self._found and not self._failed.get(str(question))

    def __iter__(self) -> Iterator[str]:
        return (question for question in self._found if not self._failed.get(question))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def numbers(rationales: Rationales) -> dict[str, float]:
    """What there is to say of these rationales, filtered or not.

    Returns:
        ``count``, ``questions``, ``texts`` that are not empty, ``distinct`` ones, ``words`` (mean),
        ``filtered``; as shares in [0, 1] ``copies`` (of the commonest text) and ``pages`` (HTML);
        and, of the first questions whose answer a text can name, as shares ``mention`` an answer
        and ``neighbour``, that of the question before or after, whichever is the higher.
    """
    # answers without any text are counted by the filters
    texts = [found.text.strip() for found in rationales.found.values() if found.text.strip()]
    shown = {
        "count": float(len(rationales.found)),
        "texts": float(len(texts)),
        "questions": float(len(rationales.questions)),
        "filtered": float(sum(bool(names) for names in rationales.failed.values())),
    }
    if not texts:
        return shown
    by_text = Counter(texts)
    commonest = max(by_text.values())
    shown["distinct"] = float(len(by_text))
    shown["copies"] = commonest / len(texts) if commonest > 1 else 0.0
    shown["words"] = sum(len(words(text)) for text in texts) / len(texts)
    shown["pages"] = sum(_PAGE.search(text) is not None for text in texts) / len(texts)
    telling = _that_can_name_their_answer(rationales)
    if telling:
        mentions = sum(mentions_answer(text, question) for question, text in telling)
        shown["mention"] = mentions / len(telling)
        shown["neighbour"] = max(_mentions_shifted(telling, 1), _mentions_shifted(telling, -1))
    return shown


def _that_can_name_their_answer(rationales: Rationales) -> list[tuple[Question, str]]:
    """Question and text of the first rationales whose answer a text can name."""
    pairs = []
    asked = 0
    for question in rationales.questions:
        if question.id not in rationales.found or not findable(question.golden_answers):
            continue
        asked += 1
        text = rationales.found[question.id].text
        if text.strip():
            pairs.append((question, text))
        if asked == ENOUGH:
            break
    return pairs


def _mentions_shifted(pairs: Sequence[tuple[Question, str]], by: int) -> float:
    """Share of the texts that mention an answer of the question so many places further on."""
    mentions = []
    for place, (question, text) in enumerate(pairs):
        if not 0 <= place + by < len(pairs):
            continue
        neighbour, _ = pairs[place + by]
        # neighbours with an answer in common tell nothing
        if set(neighbour.golden_answers).isdisjoint(question.golden_answers):
            mentions.append(mentions_answer(text, neighbour))
    return sum(mentions) / len(mentions) if mentions else 0.0


def line(split: str, shown: Mapping[str, float], left_out: str = "") -> str:
    """The numbers for people."""
    parts = [f"{split}: {shown['count']:,.0f} rationales of {shown['questions']:,.0f} questions"]
    if "mention" in shown:
        parts.append(f"{100 * shown['mention']:.1f} % mention an answer")
    if "words" in shown:
        distinct = f"{shown['distinct']:,.0f} distinct texts"
        parts.append(f"{distinct} of {shown['words']:.0f} words on average")
    parts.append(f"{shown['filtered']:,.0f} left out" + (f" ({left_out})" if left_out else ""))
    return ", ".join(parts)


def warnings(split: str, shown: Mapping[str, float]) -> list[str]:
    """What is far outside the usual, and what it may mean."""
    if shown["texts"] < FEW:
        return []
    said = []
    if shown["pages"] > PAGES and shown["pages"] * shown["texts"] > 2:
        said.append(
            f"{100 * shown['pages']:.0f} % look like web pages: an error page of a server or proxy?"
        )
    if shown["copies"] > COPIES:
        said.append(
            f"{100 * shown['copies']:.0f} % are one and the same text ({shown['distinct']:,.0f} "
            "distinct texts): such a teacher says the same of every question"
        )
    if shown["words"] < SHORT:
        said.append(
            f"they have {shown['words']:.1f} words on average: answers rather than reasons?"
        )
    if "mention" in shown and shown["neighbour"] > shown["mention"] + SHIFT:
        said.append(
            f"{100 * shown['mention']:.0f} % mention an answer of their own question, "
            f"{100 * shown['neighbour']:.0f} % one of the question before or after it: shifted by "
            "a row?"
        )
    elif shown.get("mention", 1.0) < MENTION:
        said.append(
            f"only {100 * shown['mention']:.0f} % mention an answer of their question: of other "
            "questions?"
        )
    look = "; look at them: radio rationales review"
    return [f"rationales of {split}: {text}{look}" for text in said]


def why_missing(rationales: Rationales, writer: RationaleWriter | None) -> tuple[str, bool]:
    """Why questions have no rationale that counts, and what to do; and whether asking again can
    help any of them."""
    if writer is None:
        return "set data.init_args.rationales first", False
    outcomes: Counter[str] = Counter()
    filters: Counter[str] = Counter()
    unanswered = 0
    for question in rationales.questions:
        failed = rationales.failed.get(question.id, ())
        rationale = rationales.found.get(question.id)
        if rationale is None:
            unanswered += 1
        elif failed and rationale.outcome in USELESS:
            outcomes[rationale.outcome] += 1
        elif failed:
            filters[failed[0]] += 1
    said = []
    if unanswered:
        said.append(f"{unanswered:,} not there: {writer.hint()}")
    if outcomes and writer.asks:
        said.append(kept_as_they_are(dict(outcomes.most_common())))
    elif outcomes:
        said.append(f"{_listed(outcomes)}: change their rows")
    if filters:
        said.append(f"{_listed(filters)}: left out by data.init_args.rationale_filters")
    return "\n  ".join(said), bool(unanswered) and writer.asks


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
