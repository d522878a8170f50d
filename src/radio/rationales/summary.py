"""The rationales of a split at a glance: numbers, warnings far outside the usual, and why some are
missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
    def kept(self) -> dict[str, Rationale]:
        """Those that pass the filters, by question id."""
        return {
            question: found
            for question, found in self.found.items()
            if not self.failed.get(question)
        }

    @property
    def missing(self) -> list[str]:
        """Ids of the questions for which there is none, or an answer that is no rationale."""
        none = {"empty", "refusal", "truncated"}
        return [
            q.id
            for q in self.questions
            if q.id not in self.found or none & set(self.failed.get(q.id, ()))
        ]

    @property
    def left_out(self) -> str:
        """How many fail which filter; empty if none does."""
        counts = Counter(name for names in self.failed.values() for name in names)
        return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def numbers(rationales: Rationales) -> dict[str, float]:
    """What there is to say of these rationales, filtered or not.

    Returns:
        ``count``, ``questions``, ``texts`` that are not empty, ``distinct`` ones, ``words`` (mean),
        ``filtered``; as shares in [0, 1] ``copies`` (of the commonest text) and ``pages`` (HTML);
        and, of the first questions whose answer a text can name, as shares ``mention`` an answer
        and ``neighbour``, that of the question before or after, whichever is the higher.
    """
    found = rationales.found
    # answers without any text are counted by the filters
    texts = [rationale.text.strip() for rationale in found.values() if rationale.text.strip()]
    count = len(texts)
    shown = {
        "count": float(len(found)),
        "texts": float(count),
        "questions": float(len(rationales.questions)),
    }
    shown["filtered"] = float(sum(bool(names) for names in rationales.failed.values()))
    if not count:
        return shown
    commonest = Counter(texts).most_common(1)[0][1]
    shown["distinct"] = float(len(set(texts)))
    shown["copies"] = commonest / count if commonest > 1 else 0.0
    shown["words"] = sum(len(words(text)) for text in texts) / count
    shown["pages"] = sum(_PAGE.search(text) is not None for text in texts) / count
    asked = [q for q in rationales.questions if q.id in found and findable(q.golden_answers)][
        :ENOUGH
    ]
    pairs = [
        (question, found[question.id].text) for question in asked if found[question.id].text.strip()
    ]
    if pairs:
        shown["mention"] = sum(mentions_answer(text, question) for question, text in pairs) / len(
            pairs
        )
        shown["neighbour"] = max(_mentions_shifted(pairs, 1), _mentions_shifted(pairs, -1))
    return shown


def _mentions_shifted(pairs: Sequence[tuple[Question, str]], by: int) -> float:
    """Share of the texts that mention an answer of the question so many places further on."""
    own = {id(question): set(question.golden_answers) for question, _ in pairs}
    shifted = [(pairs[n + by][0], *pairs[n]) for n in range(max(0, -by), len(pairs) - max(0, by))]
    # neighbours with an answer in common tell nothing
    telling = [(other, text) for other, mine, text in shifted if not own[id(other)] & own[id(mine)]]
    return (
        sum(mentions_answer(text, other) for other, text in telling) / len(telling)
        if telling
        else 0.0
    )


def line(split: str, found: Mapping[str, float], left_out: str = "") -> str:
    """The numbers for people."""
    parts = [f"{split}: {found['count']:,.0f} rationales of {found['questions']:,.0f} questions"]
    if "mention" in found:
        parts.append(f"{100 * found['mention']:.1f} % mention an answer")
    if "words" in found:
        parts.append(
            f"{found['distinct']:,.0f} distinct texts of {found['words']:.0f} words on average"
        )
    parts.append(f"{found['filtered']:,.0f} left out" + (f" ({left_out})" if left_out else ""))
    return ", ".join(parts)


def warnings(split: str, found: Mapping[str, float]) -> list[str]:
    """What is far outside the usual, and what it may mean."""
    if found["texts"] < FEW:
        return []
    said = []
    if found["pages"] > PAGES and found["pages"] * found["texts"] > 2:
        said.append(
            f"{100 * found['pages']:.0f} % look like web pages: an error page of a server or proxy?"
        )
    if found["copies"] > COPIES:
        said.append(
            f"{100 * found['copies']:.0f} % are one and the same text ({found['distinct']:,.0f} "
            "distinct texts): such a teacher says the same of every question"
        )
    if found["words"] < SHORT:
        said.append(
            f"they have {found['words']:.1f} words on average: answers rather than reasons?"
        )
    if "mention" in found and found["neighbour"] > found["mention"] + SHIFT:
        said.append(
            f"{100 * found['mention']:.0f} % mention an answer of their own question, "
            f"{100 * found['neighbour']:.0f} % one of the question before or after it: shifted by "
            "a row?"
        )
    elif found.get("mention", 1.0) < MENTION:
        said.append(
            f"only {100 * found['mention']:.0f} % mention an answer of their question: of other "
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
        names = rationales.failed.get(question.id, ())
        if question.id not in rationales.found:
            unanswered += 1
        elif names and rationales.found[question.id].outcome in USELESS:
            outcomes[rationales.found[question.id].outcome] += 1
        elif names:
            filters[names[0]] += 1
    said = []
    if unanswered:
        said.append(f"{unanswered:,} not there: {writer.hint()}")
    if outcomes and writer.asks:
        said.append(kept_as_they_are(dict(outcomes.most_common())))
    elif outcomes:
        said.append(f"{_counts(outcomes)}: change their rows")
    if filters:
        said.append(f"{_counts(filters)}: left out by data.init_args.rationale_filters")
    return "\n  ".join(said), bool(unanswered) and writer.asks


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in found.most_common())
