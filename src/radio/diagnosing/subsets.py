"""The results with and without the questions that are suspicious."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radio.diagnosing.contamination import CANDIDATES, CORPUS, NEAR, RATIONALES, TRAINING
from radio.diagnosing.gains import Columns, measured
from radio.diagnosing.subject import Subject
from radio.evaluation.systems import CLOSED_BOOK
from radio.metrics.choices import category_of

ALL, WITHOUT, ONLY = "all questions", "without suspicious ones", "suspicious ones alone"

WORDS = {
    TRAINING: "in training questions",
    RATIONALES: "in rationales",
    CANDIDATES: "in their candidates",
    CORPUS: "in the corpus",
    NEAR: "near a training question",
}
"""What makes a question suspicious, as rows of the table call it."""

ANSWERED, NOT_ANSWERED = "answered without passages", "not answered without passages"

FURTHER = ("nDCG@5", "gold_nDCG@5", "RR@10")
"""What the order is judged by, beside the primary measure, the first that there is."""


def results(
    subject: Subject, flags: Mapping[str, Sequence[str]], asked: Sequence[str]
) -> dict[str, Any]:
    """Means and gains of all questions, of those that nothing is suspicious of, and of the others.

    Args:
        subject: whose results.
        flags: by question, what was found of it.
        asked: ids of the questions whose answers without passages are known.
    """
    subsets = _subsets(subject, flags, asked)
    measures = _measures(subject)
    rows = _rows(subject, list(subsets.values()), measures)
    named = [{"name": name, **row} for name, row in zip(subsets, rows, strict=True)]
    return {
        "measures": measures,
        "pair": list(subject.pair),
        "subsets": named,
        "categories": _categories(subject, subsets),
    }


def _subsets(
    subject: Subject, flags: Mapping[str, Sequence[str]], asked: Sequence[str]
) -> dict[str, list[str]]:
    """Ids of the questions of each subset; one that is empty is left out, but for the first two."""
    names = list(subject.questions)
    suspicious = [name for name in names if set(flags.get(name, ())) - {CLOSED_BOOK}]
    found = {ALL: names, WITHOUT: [name for name in names if name not in set(suspicious)]}
    found[ONLY] = suspicious
    for flag, words in WORDS.items():
        found[words] = [name for name in names if flag in flags.get(name, ())]
    known = [name for name in names if CLOSED_BOOK in flags.get(name, ())]
    found[ANSWERED] = known
    found[NOT_ANSWERED] = [name for name in asked if name not in set(known)]
    return {words: ids for words, ids in found.items() if ids or words in (ALL, WITHOUT)}


def _measures(subject: Subject) -> list[str]:
    before, after = (subject.values[system] for system in subject.pair)
    further = [name for name in FURTHER if name in before and name in after]
    return list(dict.fromkeys([subject.measure, *further[:1]]))


def _rows(
    subject: Subject, subsets: Sequence[Sequence[str]], measures: Sequence[str]
) -> list[dict[str, Any]]:
    """The measures of each subset of the questions."""
    rows: list[dict[str, Any]] = [{"questions": len(ids), "measures": {}} for ids in subsets]
    for measure in measures:
        tables = [_columns(subject, ids, measure) for ids in subsets]
        for row, numbers in zip(rows, measured(tables, subject.pair), strict=True):
            row["measures"][measure] = numbers
    return rows


def _columns(subject: Subject, ids: Sequence[str], measure: str) -> Columns:
    columns = {}
    for system, measures in subject.values.items():
        values = measures.get(measure, {})
        columns[system] = {name: values[name] for name in ids if name in values}
    return columns


def _categories(subject: Subject, subsets: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The primary measure by category of MMLU, where the questions have subjects and there is
    something to be left out."""
    if ONLY not in subsets:
        return []
    groups: dict[str, list[str]] = {}
    for name, question in subject.questions.items():
        category = category_of(str(question.metadata.get("subject")), "radio")
        if category is not None:
            groups.setdefault(category, []).append(name)
    found: list[dict[str, Any]] = []
    for subset in (ALL, WITHOUT, ONLY):
        there = set(subsets[subset])
        parts = {
            category: [name for name in names if name in there]
            for category, names in groups.items()
        }
        kept = {category: names for category, names in sorted(parts.items()) if names}
        rows = _rows(subject, list(kept.values()), [subject.measure])
        found += [
            {"category": category, "name": subset, **row}
            for category, row in zip(kept, rows, strict=True)
        ]
    return sorted(found, key=lambda row: str(row["category"]))
