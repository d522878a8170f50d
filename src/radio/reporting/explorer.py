"""The questions as the page's explorer gets them: JSON with each passage once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from radio.comparing.choosing import Comparison
from radio.comparing.comparison import ROUNDING
from radio.comparing.reading import RunResults, asked_of
from radio.comparing.rows import Row
from radio.evaluation.measure import is_an_error
from radio.evaluation.sampling import sampled
from radio.evaluation.systems import CLOSED_BOOK
from radio.pages import inert_json
from radio.reporting.prompts import Prompts
from radio.reporting.story import depths_of
from radio.reporting.strings import NOWHERE, StringTable, cut
from radio.reporting.texts import find_texts
from radio.schema import InputError

MOST_SYSTEMS = 6
"""Rankings that the explorer holds; the table above it has all."""

LARGEST = 4_700_000
"""Bytes of the data of a page: what the rest leaves of them is for the texts of the passages."""

BEST = ("em", "accuracy")
"""Measures that say whether an answer is right."""

KEPT = (*BEST, "f1", "macro_f1", "answer_in_context", "RR@10", "nDCG@5", "R@5", "P@1")
"""Measures that the explorer sorts and filters by, beside the primary one."""


class Explored(NamedTuple):
    """What the page gets, and what is to be said of what it does not get."""

    document: Mapping[str, Any]
    remarks: Sequence[str]


class Pair(NamedTuple):
    """The two systems that are set against each other at first."""

    before: Row
    after: Row


def pair_of(comparison: Comparison) -> Pair:
    """The baseline, and the reranker after its training, or the nearest to it that there is.

    Raises:
        InputError: there are no two orders to be set against each other.
    """
    measure = comparison.measures[0]
    rows = [row for row in comparison.rows if measure in row.columns and row.system != CLOSED_BOOK]
    before = [row for row in rows if row.name == comparison.baseline]
    others = [row for row in rows if row.name != comparison.baseline]
    if not before or not others:
        found = ", ".join(row.name for row in rows) or "none"
        raise InputError(
            f"radio report: found {found} with an order of passages and {measure}, beside the "
            f"baseline {comparison.baseline}; expected two orders, one of them the baseline's "
            "(radio compare takes any systems)"
        )
    trained = [row for system in ("tuned", "base") for row in others if row.system == system]
    return Pair(before[0], [*trained, *reversed(others)][0])


def explored(
    comparison: Comparison,
    pair: Pair,
    *,
    limit: int = 1_000,
    seed: int = 0,
    corpus: Sequence[str | Path] = (),
) -> Explored:
    """Choose the questions, and put together what is known of each.

    Args:
        comparison: of the runs.
        pair: two of its systems.
        limit: how many questions are kept.
        seed: of the draw.
        corpus: files of passages that win over those of the run's config.
    """
    split, measure = comparison.found.split, comparison.measures[0]
    shown, remarks = _systems(comparison.rows, pair)
    kept, left_out = _kept(comparison, pair, limit, seed)
    read: dict[str, dict[str, Any]] = {}
    for row in shown:
        run = run_of(row)
        if run.name not in read:
            read[run.name] = {told["question_id"]: told for told in run.rows(split)}
    rankings = [_Ranking(row.system, read[run_of(row).name]) for row in shown]
    run = run_of(pair.after)
    asked = {question: asked_of(read[run.name][question]) for question in kept}
    table = _table(run, rankings, read[run.name], asked, corpus)
    generator = _reader(run, split, measure)
    prefix, depths = _prefix(generator), depths_of(generator)
    prompts = Prompts(generator, table.passages)
    names = _measures(rankings, kept, measure, prefix)
    maker = _Maker(rankings, read[run.name], table, prompts, prefix, depths, names)
    document = {
        "split": split,
        "prefix": prefix,
        "depths": depths,
        "measures": maker.measures,
        "lower": [name for name in maker.measures if is_an_error(name)],
        "systems": [{"name": row.name, "run": run_of(row).name} for row in shown],
        "pair": [shown.index(pair.before), shown.index(pair.after)],
        "questions": [maker.question(question, asked[question]) for question in kept],
        **prompts.document(),
    }
    room = LARGEST - len(inert_json(document).encode())
    return Explored(
        {**document, "passages": table.columns(room)},
        [*left_out, *remarks, *table.remarks, *prompts.remarks],
    )


def run_of(row: Row) -> RunResults:
    """The run whose orders and replies are shown for a row: that of the first seed."""
    return row.groups[0].runs[0]


def _kept(comparison: Comparison, pair: Pair, limit: int, seed: int) -> tuple[list[str], list[str]]:
    """Ids of the questions that are kept, and what is to be said of the others."""
    questions, measure = comparison.found.questions, comparison.measures[0]
    columns = [row.columns[measure][0] for row in pair]
    flips = set()
    for question, before, after in zip(questions, *columns, strict=True):
        if abs(before - after) > ROUNDING:
            flips.add(question)
    kept = sampled(questions, flips, limit, seed)
    if len(kept) == len(questions):
        return kept, []
    flipped = sum(question in flips for question in kept)
    return kept, [
        f"{len(kept):,} of {len(questions):,} questions are here: {flipped:,} of the "
        f"{len(flips):,} on which {pair.before.name} and {pair.after.name} differ by {measure}, "
        f"the others drawn at random (seed {seed}). The tables and plots above are of all."
    ]


def _table(
    run: RunResults,
    rankings: Sequence[_Ranking],
    told: Mapping[str, Mapping[str, Any]],
    asked: Mapping[str, Mapping[str, Any]],
    corpus: Sequence[str | Path],
) -> StringTable:
    """The passages of all orders, as far as their texts are found."""
    depths: dict[str, int] = {}
    for question, facts in asked.items():
        for identifier in facts.get("gold_ids") or {}:
            depths.setdefault(identifier, NOWHERE)
        for ranking in rankings:
            for place, identifier in enumerate(ranking.order(question)):
                depths[identifier] = min(place, depths.get(identifier, NOWHERE))
    unexplained = {
        question: facts.get("question", "")
        for question, facts in asked.items()
        if not told[question].get("rationale")
    }
    return StringTable(find_texts(run, depths, unexplained, corpus), depths)


def _systems(rows: Sequence[Row], pair: Pair) -> tuple[list[Row], list[str]]:
    """The rankings that are kept, in their order, and which are left out."""
    ranked = [row for row in rows if row.system != CLOSED_BOOK]
    wanted = {id(row) for row in (pair.before, pair.after)}
    for row in sorted(ranked, key=lambda row: not row.trained):
        if len(wanted) < MOST_SYSTEMS:
            wanted.add(id(row))
    shown = [row for row in ranked if id(row) in wanted]
    remarks = []
    if len(shown) < len(ranked):
        left = ", ".join(row.name for row in ranked if id(row) not in wanted)
        remarks.append(f"The explorer holds {len(shown)} rankings; without those of {left}.")
    seeds = [row for row in shown if row.seeds > 1]
    if seeds:
        names = ", ".join(f"{row.name} ({run_of(row).name})" for row in seeds)
        remarks.append(f"Of several seeds the explorer shows the first: {names}.")
    return shown, remarks


class _Ranking:
    """What a run says of one of its systems.

    Args:
        system: its name in the run.
        told: the rows of ``predictions.jsonl`` by question id.
    """

    def __init__(self, system: str, told: Mapping[str, Mapping[str, Any]]) -> None:
        self._system = system
        self._told = told

    def part(self, question: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._told[question].get(self._system) or {}
        return found

    def order(self, question: str) -> list[str]:
        return list(self.part(question).get("passage_ids") or ())


def _reader(run: RunResults, split: str, measure: str) -> Mapping[str, Any]:
    """The generator that the primary measure is of, or else the first one; empty without any."""
    found = run.generators(split)
    for generator in sorted(found, key=lambda one: -len(_prefix(one))):
        if measure.startswith(_prefix(generator)):
            return generator
    return found[0] if found else {}


def _prefix(generator: Mapping[str, Any]) -> str:
    """What the names of a generator's facts begin with."""
    return f"{generator['name']}_" if generator.get("name") else ""


def _measures(
    rankings: Sequence[_Ranking], kept: Sequence[str], primary: str, prefix: str
) -> list[str]:
    """Names of the numbers that the explorer holds."""
    names = dict.fromkeys(
        name
        for ranking in rankings
        for question in kept[:1]
        for name, value in ranking.part(question).items()
        if isinstance(value, int | float)
    )

    def wanted(name: str) -> bool:
        for part in ("gold_", prefix):
            bare = name.removeprefix(part)
            if bare in KEPT or re.fullmatch(rf"(?:{'|'.join(KEPT[:5])})@\d+", bare):
                return True
        return False

    return [primary, *(name for name in names if name != primary and wanted(name))]


@dataclass(frozen=True)
class _Maker:
    """Puts a question together.

    Args:
        rankings: the systems.
        told: rows of the run that is asked for what does not belong to a system.
        table: the passages.
        prompts: of the generator.
        prefix: what the names of the generator's facts begin with.
        depths: how many passages it has read.
        measures: names of the numbers that are kept.
    """

    rankings: Sequence[_Ranking]
    told: Mapping[str, Mapping[str, Any]]
    table: StringTable
    prompts: Prompts
    prefix: str
    depths: Sequence[int]
    measures: Sequence[str]

    def question(self, identifier: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A question; what is not known of it is not in it."""
        told = self.told[identifier]
        search = told.get("search") or ""
        parts = [ranking.part(identifier) for ranking in self.rankings]
        place = self.table.place
        replies = [self._replies(part) for part in parts]
        sent = [self._sent(asked, search, part) for part in parts]
        orders = [
            [place(passage) for passage in ranking.order(identifier)] for ranking in self.rankings
        ]
        found = {
            "id": identifier,
            "question": asked.get("question"),
            "answers": list(dict.fromkeys(asked.get("golden_answers") or [])),
            "choices": asked.get("choices"),
            "gold": [place(passage) for passage in asked.get("gold_ids") or {}],
            "orders": orders,
            "scores": [[_short(score) for score in part.get("scores") or []] for part in parts],
            "numbers": [[_short(part.get(name)) for name in self.measures] for part in parts],
            "replies": replies if any(replies) else None,
            "sent": sent if any(map(any, sent)) else None,
            "filled": self.prompts.filled(asked, search),
            "closed": self._closed(told.get(CLOSED_BOOK) or {}),
            "rationale": cut(told.get("rationale") or self.table.rationales.get(identifier, "")),
            "teacher": [
                [place(passage), _short(score)]
                for passage, score in (told.get("teacher_scores") or {}).items()
            ],
        }
        return {key: value for key, value in found.items() if value not in (None, [], {}, "")}

    def _replies(self, part: Mapping[str, Any]) -> list[Any]:
        """For each depth the answer and, where it is another text, the raw reply; null where there
        is none."""
        found = []
        for depth in self.depths:
            at = self._suffix(part, depth)
            answer = part.get(f"{self.prefix}answer{at}")
            found.append(_said(answer, part.get(f"{self.prefix}reply{at}")))
        return found if any(found) else []

    def _sent(
        self, asked: Mapping[str, Any], search: str, part: Mapping[str, Any]
    ) -> list[int | None]:
        """For each depth how many passages the prompt has shown; null where it is not known."""
        ids = part.get("passage_ids") or []
        found = []
        for depth in self.depths:
            told = part.get(f"{self.prefix}asked{self._suffix(part, depth)}") or {}
            found.append(self.prompts.sent(asked, search, ids[:depth], told))
        return found

    def _suffix(self, part: Mapping[str, Any], depth: int) -> str:
        """What stands behind the names of a depth: one that reads to one alone does not name it."""
        return f"@{depth}" if f"{self.prefix}answer@{depth}" in part else ""

    def _closed(self, part: Mapping[str, Any]) -> list[str | None] | None:
        """What was answered without any passage."""
        return _said(part.get(f"{self.prefix}answer"), part.get(f"{self.prefix}reply"))


def _said(answer: str | None, reply: str | None) -> list[str | None] | None:
    if reply is None and answer is None:
        return None
    return [answer] if reply in (None, answer) else [answer, cut(str(reply))]


def _short(value: Any) -> float | None:
    """A number with four digits, which is as many as are shown; null where it is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short
