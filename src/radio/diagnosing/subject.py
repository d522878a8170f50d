"""What is diagnosed: a run folder, and what its config makes today, as far as that still fits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radio.callbacks import GeneratorInTheLoop
from radio.comparing.choosing import BASELINES
from radio.comparing.matching import SPLITS
from radio.comparing.reading import ASKED, RunResults, asked_of, read_runs, read_values
from radio.comparing.rows import meant, primary_of
from radio.config.reopening import parts_of
from radio.corpus import passages_of
from radio.data.module import RationaleDataModule
from radio.evaluation.files import described
from radio.evaluation.systems import FUSED, OF_THE_RUN, in_order
from radio.schema import InputError, Passage, Question

RANKED = (*OF_THE_RUN, FUSED)
"""Systems whose orders are read again."""

TRAINED = ("tuned", FUSED)
"""Whose gain is looked at, the first that there is."""

TOGETHER = 1_000
"""Passages whose texts are in memory together."""

Values = Mapping[str, Mapping[str, Mapping[str, float]]]
"""System -> measure -> question id -> value, of those questions that have it."""


@dataclass(frozen=True)
class Subject:
    """A run, and what its config makes of data and generators today.

    Args:
        run: what its folder holds.
        split: whose results are diagnosed.
        datamodule: of the config.
        callbacks: the generators in the loop of the config.
        questions: by id, those of the results that the data module still has as they were.
        rows: by question id, what ``predictions.jsonl`` says.
        values: of the results.
        measure: the primary one.
        pair: the systems whose difference is the gain: before and after.
        remarks: what does not fit any more, for people.
    """

    run: RunResults
    split: str
    datamodule: RationaleDataModule
    callbacks: Sequence[GeneratorInTheLoop]
    questions: Mapping[str, Question]
    rows: Mapping[str, Mapping[str, Any]]
    values: Values
    measure: str
    pair: tuple[str, str]
    remarks: list[str] = field(default_factory=list)

    @property
    def orders(self) -> dict[str, dict[str, list[str]]]:
        """Passage ids, best first, by system and question."""
        found: dict[str, dict[str, list[str]]] = {}
        for system in RANKED:
            of_system = {}
            for question in self.questions:
                part = self.rows[question].get(system) or {}
                # of a question that the retriever has found nothing for it is empty
                if "passage_ids" in part:
                    of_system[question] = list(part["passage_ids"])
            if of_system:
                found[system] = of_system
        return found

    def candidates(self) -> dict[str, list[str]]:
        """Passages that any system has ranked, by question."""
        found: dict[str, dict[str, None]] = {question: {} for question in self.questions}
        for orders in self.orders.values():
            for question, passages in orders.items():
                found[question] |= dict.fromkeys(passages)
        return {question: list(passages) for question, passages in found.items()}


def open_subject(
    folder: str | Path, split: str | None = None, measure: str | None = None
) -> Subject:
    """A run, ready to be diagnosed.

    Args:
        folder: of the run.
        split: None takes test if it was evaluated, else validation.
        measure: the primary one; None takes that of ``radio compare``.

    Raises:
        InputError: the folder holds no results, its config makes no data module, or none of the
            questions is what it was.
    """
    run = read_runs([folder])[0]
    split = split or next((name for name in SPLITS if name in run.splits), run.splits[0])
    values = _by_question(run, split)
    pair = _pair(values)
    primary = _primary(values, pair, measure)
    datamodule, callbacks = parts_of(run.folder / "config.yaml")
    rows = {row["question_id"]: row for row in run.rows(split)}
    questions, remarks = _same(run, split, rows, datamodule)
    remarks += _other_generators(run, split, callbacks)
    return Subject(
        run, split, datamodule, callbacks, questions, rows, values, primary, pair, remarks
    )


def _by_question(run: RunResults, split: str) -> Values:
    read = read_values(run, split)
    values: dict[str, dict[str, dict[str, float]]] = {}
    for system, measures in read.numbers.items():
        values[system] = {}
        for measure, column in measures.items():
            of_all = zip(read.asked, column.tolist(), strict=True)
            known = {question: value for question, value in of_all if not math.isnan(value)}
            values[system][measure] = known
    return values


def _pair(values: Values) -> tuple[str, str]:
    """Before and after: the trained reranker against the untrained one, or the retriever."""
    after = next((system for system in TRAINED if system in values), None)
    before = next((system for system in BASELINES if system in values), None)
    if after is None or before is None:
        raise InputError(
            f"radio diagnose: found results of {', '.join(in_order(values))}, expected those of "
            f"{' or '.join(TRAINED)} and of {' or '.join(BASELINES)}, whose difference is the gain"
        )
    return before, after


def _primary(values: Values, pair: tuple[str, str], wanted: str | None) -> str:
    known = [measure for measure in values[pair[0]] if measure in values[pair[1]]]
    if not known:
        raise InputError(f"radio diagnose: found no measure of both {' and '.join(pair)}")
    if wanted is None:
        return primary_of(known)
    found = meant(wanted, known)
    if found is None:
        raise InputError(f"--measure: found {wanted!r}, expected one of {', '.join(known)}")
    return found


def _same(
    run: RunResults, split: str, rows: Mapping[str, Mapping[str, Any]], data: RationaleDataModule
) -> tuple[dict[str, Question], list[str]]:
    """Questions of the results as the data module has them, and what to say of those that it has
    otherwise or not at all."""
    now = {question.id: question for question in data.split_questions(split)}
    same, reasons = {}, Counter[str]()
    for identifier, row in rows.items():
        reason = _change(row, now.get(identifier))
        if reason:
            reasons[reason] += 1
        else:
            same[identifier] = now[identifier]
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    if not same:
        raise InputError(
            f"{run.folder}: none of the {len(rows):,} questions of {split} in its results is what "
            f"{run.folder / 'config.yaml'} gives today ({told}): the data have changed since; "
            "evaluate the run again (radio validate, radio test)"
        )
    if not reasons:
        return same, []
    return same, [
        f"WARNING: {sum(reasons.values()):,} of {len(rows):,} questions of the results are left "
        f"out, for the data of the config have changed since: {told}"
    ]


def _change(row: Mapping[str, Any], question: Question | None) -> str:
    """What is not as it was when the question was evaluated; empty if all is."""
    if question is None:
        return "are no longer in the data"
    then, now = asked_of(row), described(question)
    for fact, nothing in ASKED.items():
        # results of an early version do not say it
        if fact in then and then[fact] != now.get(fact, nothing):
            return f"have another {fact}"
    return ""


def _other_generators(
    run: RunResults, split: str, callbacks: Sequence[GeneratorInTheLoop]
) -> list[str]:
    """What to say of generators that are not those of the results."""
    then = {note.get("name"): note for note in run.generators(split)}
    said = []
    for callback in callbacks:
        note = then.pop(callback.name, None)
        name = callback.name or type(callback.generator).__name__
        try:
            fingerprint = callback.generator.fingerprint()
        except InputError:
            # said where it is asked
            continue
        if note is None:
            said.append(f"the results have no answers of the generator {name}")
        elif note["fingerprint"] != fingerprint:
            said.append(
                f"WARNING: the generator {name} is another one than that of the results "
                f"(fingerprint {fingerprint[:12]}, there {note['fingerprint'][:12]}): its settings "
                "or its model have changed"
            )
    for note in then.values():
        gone = note.get("name") or note.get("class")
        said.append(f"the config has no generator {gone}, the results do")
    return said


def there(corpus: Mapping[str, Passage], identifiers: Sequence[str]) -> set[str]:
    """Those of some ids that a corpus has."""
    found: set[str] = set()
    for start in range(0, len(identifiers), TOGETHER):
        part = identifiers[start : start + TOGETHER]
        try:
            # in one read, as it is where nothing has changed
            found.update(passages_of(corpus, part))
        except KeyError:
            found.update(identifier for identifier in part if identifier in corpus)
    return found
