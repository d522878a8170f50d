"""Answer metrics: one answer in, one number out."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from radio.text import has_answer

_ARTICLES = re.compile(r"\b(a|an|the)\b")


_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (Rajpurkar et al., EMNLP 2016)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, golden_answers: Sequence[str]) -> float:
    """1 if the normalised prediction equals a golden answer; an answer that normalises to nothing
    never matches."""
    found = normalise_answer(prediction)
    return float(
        bool(found) and any(found == normalise_answer(answer) for answer in golden_answers)
    )


def f1(prediction: str, golden_answers: Sequence[str]) -> float:
    """Token F1, maximum over the golden answers. Yes, no and noanswer count only when equal
    (HotpotQA, FlashRAG)."""
    return max(
        (_f1(normalise_answer(prediction), normalise_answer(answer)) for answer in golden_answers),
        default=0.0,
    )


def answer_in_output(output: str, golden_answers: Sequence[str]) -> float:
    """1 if a golden answer stands in what a generator wrote, as a run of tokens ("no" does not
    stand in "know"). It favours long answers."""
    return float(has_answer(output, golden_answers))


def answer_in_context(passages: Sequence[str], golden_answers: Sequence[str]) -> float:
    """1 if a golden answer stands in one of the passages (title and text)."""
    return float(any(has_answer(passage, golden_answers) for passage in passages))


def _f1(found: str, golden: str) -> float:
    special = {"yes", "no", "noanswer"}
    if found != golden and (found in special or golden in special):
        return 0.0
    a, b = found.split(), golden.split()
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b)) if shared else 0.0
