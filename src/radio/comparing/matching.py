"""What of several runs can be compared: the same questions, the same answers, the same reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from radio.comparing.reading import ASKED, RunResults, Values, read_values
from radio.evaluation.measure import RANKING_PREFIXES
from radio.metrics.ranking import ranking_metrics
from radio.schema import InputError

SPLITS = ("test", "validation")
"""Which one is compared where none is named, the first that all runs have."""


@dataclass(frozen=True)
class Matched:
    """Runs of one split whose numbers can be set against each other.

    Args:
        split: its name.
        values: of the runs, in their order.
        questions: ids of those that are compared.
        left_out: how many questions are not, by reason.
        readers: by measure, what tells the readers of the runs apart, where there are several.
        unknown: names of the runs that do not say what was asked.
    """

    split: str
    values: Sequence[Values]
    questions: Sequence[str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    unknown: Sequence[str] = ()


def matched(
    runs: Sequence[RunResults], split: str | None = None, *, common: bool = False
) -> Matched:
    """Read the runs and see that they are of the same questions.

    Args:
        runs: to be compared.
        split: of all; None takes the first of :data:`SPLITS` that all have.
        common: compare on what they have in common, rather than refuse runs that differ.

    Raises:
        InputError: the runs differ in their splits or, without ``common``, in their questions; or
            have nothing in common.
    """
    split = split or _shared_split(runs)
    values = [read_values(run, split) for run in runs]
    of_all = dict.fromkeys(question for found in values for question in found.asked)
    reasons = _reasons(values, of_all)
    shared = [question for question in of_all if question not in reasons]
    left_out: dict[str, int] = {}
    for reason in reasons.values():
        left_out[reason] = left_out.get(reason, 0) + 1
    if left_out and not (common and shared):
        raise InputError(_different_questions(values, reasons, len(of_all), len(shared)))
    unknown = [found.run.name for found in values if not all(found.asked.values())]
    return Matched(split, values, shared, left_out, _different_readers(values), unknown)


def _shared_split(runs: Sequence[RunResults]) -> str:
    shared = [split for split in SPLITS if all(split in run.splits for run in runs)]
    if not shared:
        there = "; ".join(f"{run.name} has {', '.join(run.splits)}" for run in runs)
        raise InputError(f"the runs have no split in common: {there}")
    return shared[0]


def _reasons(values: Sequence[Values], questions: Iterable[str]) -> dict[str, str]:
    """Why questions cannot be compared, by id: those that are not the same in all runs."""
    reasons = {}
    for question in questions:
        if not all(question in found.asked for found in values):
            reasons[question] = "not in every run"
            continue
        for fact in ASKED:
            told = [found.asked[question].get(fact) for found in values]
            known = [value for value in told if value is not None]
            if any(value != known[0] for value in known):
                reasons[question] = f"another {fact}"
                break
    return reasons


def _different_questions(
    values: Sequence[Values], reasons: Mapping[str, str], total: int, shared: int
) -> str:
    """The message for runs of different questions: what differs, with one that shows it."""
    facts = []
    for found in values:
        lacking = total - len(found.asked)
        if lacking:
            facts.append(f"{found.run.name} lacks {lacking} of {total}")
    first: dict[str, str] = {}
    for question, reason in reasons.items():
        first.setdefault(reason, question)
    for reason, question in first.items():
        fact = reason.removeprefix("another ")
        if fact in ASKED:
            count = sum(other == reason for other in reasons.values())
            told = {found.run.name: found.asked[question].get(fact) for found in values}
            shown = "; ".join(f"{name}: {str(value)[:80]}" for name, value in told.items())
            facts.append(f"{count} have another {fact} (as {question}: {shown})")
    way = f"--common compares the {shared} that are the same" if shared else "none is the same"
    return f"the runs are not of the same questions: {'; '.join(facts)}; {way}"


def _different_readers(values: Sequence[Values]) -> dict[str, str]:
    """By measure, which generators have made it, where the runs' are not the same."""
    by_measure: dict[str, dict[str, list[str]]] = {}
    for found in values:
        measures = {measure for numbers in found.numbers.values() for measure in numbers}
        for measure in measures:
            if not is_of_order(measure):
                readers = by_measure.setdefault(measure, {})
                readers.setdefault(_reader_of(measure, found), []).append(found.run.name)
    different = {}
    for measure, readers in by_measure.items():
        if len(readers) > 1:
            parts = [f"{reader} in {', '.join(names)}" for reader, names in readers.items()]
            different[measure] = "; ".join(parts)
    return different


def _reader_of(measure: str, found: Values) -> str:
    """Class and fingerprint of the generator that a measure is of."""
    generators = found.run.generators(found.split)
    named = [generator for generator in generators if generator.get("name")]
    # the longest first: one name may begin as another
    for generator in sorted(named, key=lambda one: -len(one["name"])):
        if measure.startswith(f"{generator['name']}_"):
            return _shown(generator)
    # early versions let several be without a name: the measure may be of any of them
    unnamed = [_shown(generator) for generator in generators if not generator.get("name")]
    return " or ".join(unnamed) or "none that is named"


def _shown(generator: Mapping[str, object]) -> str:
    return f"{generator.get('class')} {str(generator.get('fingerprint'))[:12]}"


def is_of_order(measure: str) -> bool:
    """Whether a measure judges the order of the passages, and no answer."""
    for prefix in RANKING_PREFIXES:
        try:
            ranking_metrics([], [measure.removeprefix(prefix)])
        except ValueError:
            continue
        return True
    return False
