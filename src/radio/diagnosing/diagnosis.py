"""All tests of a run, one after the other, and the files that they leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from radio import __version__
from radio.callbacks import GeneratorInTheLoop
from radio.diagnosing.contamination import (
    NEAR,
    SOURCES,
    Evidence,
    Unavailable,
    closed_book,
    near_duplicates,
    overlaps,
    text_of,
)
from radio.diagnosing.grams import Grams
from radio.diagnosing.page import page
from radio.diagnosing.robustness import DEPTH, DISTRACTORS, ORDER, Robustness
from radio.diagnosing.subject import Subject
from radio.diagnosing.subsets import results
from radio.encoders import Encoder
from radio.evaluation.systems import CLOSED_BOOK, lot
from radio.generators.base import name_of
from radio.lines import atomic_write, write_jsonl
from radio.reporting.diagnosis import VERSION, results_digest
from radio.schema import InputError, Missing

TESTS = (*SOURCES, NEAR, CLOSED_BOOK, ORDER, DEPTH, DISTRACTORS)
"""What can be tested, in this order."""

WRITES = ("diagnose.json", "diagnose.jsonl", "diagnose.html")

NO_GENERATOR = "the run's config has no generator (GeneratorInTheLoop)"


@dataclass(frozen=True)
class Settings:
    """What is tested, and how.

    Args:
        tests: of :data:`TESTS`.
        questions: how many the generators are asked about; None for all.
        seed: of the sample, the shuffles and the distractors.
        top_k: passages that are read in another order and between distractors; None takes the
            run's.
        ks: how many passages are read, for the curve.
        distractors: how many are mixed in.
        threshold: cosine from which on a question is a near duplicate.
        encoder: model of the embeddings; None takes the config's.
    """

    tests: Sequence[str] = TESTS
    questions: int | None = None
    seed: int = 0
    top_k: int | None = None
    ks: Sequence[int] = (1, 2, 3, 5, 10, 20)
    distractors: Sequence[int] = (0, 1, 2, 4)
    threshold: float = 0.9
    encoder: str | None = None


@dataclass
class Diagnosis:
    """What came of it.

    Args:
        document: of ``diagnose.json``.
        rows: of ``diagnose.jsonl``, one a question.
    """

    document: dict[str, Any]
    rows: list[dict[str, Any]]


class Diagnosing:
    """Runs the tests; the fault of one loses no other.

    Args:
        subject: the run.
        settings: what is tested.
    """

    def __init__(self, subject: Subject, settings: Settings) -> None:
        self._subject = subject
        self._settings = settings
        self._evidence = Evidence()
        self._asked = _sampled(list(subject.questions), settings.questions, settings.seed)
        self._remarks: list[str] = []
        self._unavailable: dict[str, str] = {}
        self._failed: dict[str, str] = {}

    def run(self) -> Diagnosis:
        """Run the tests, and put the document together."""
        self._looking()
        self._reading()
        subject, evidence = self._subject, self._evidence
        if set(self._settings.tests) & {*SOURCES, NEAR, CLOSED_BOOK}:
            known = [
                name for name in subject.questions if CLOSED_BOOK in evidence.rows.get(name, {})
            ]
            evidence.document["results"] = results(subject, evidence.flags, known)
        return Diagnosis(self._document(), self._rows())

    def _looking(self) -> None:
        """The tests that ask nobody: where the questions stand already."""
        subject, settings, evidence = self._subject, self._settings, self._evidence
        sources = [source for source in SOURCES if source in settings.tests]
        if sources:
            task = subject.datamodule.task
            texts = {name: text_of(found, task) for name, found in subject.questions.items()}
            grams = Grams(texts)
            for source in sources:
                self._try(source, partial(overlaps, subject, source, grams, evidence))
        if NEAR in settings.tests:
            encoder = None if settings.encoder is None else Encoder(settings.encoder)
            self._try(NEAR, lambda: near_duplicates(subject, encoder, settings.threshold, evidence))

    def _reading(self) -> None:
        """The tests of passages, and of what the generators know without them."""
        settings, everything = self._settings, list(self._subject.questions)
        depths = self._depths() if DEPTH in settings.tests else []
        if depths:
            # nobody is asked: of all questions
            whole = Robustness(self._subject, everything, settings.seed, self._evidence)
            self._try("retrieval", lambda: whole.retrieval(depths))
        tests = Robustness(self._subject, self._asked, settings.seed, self._evidence)
        of_a_generator: dict[str, Callable[[GeneratorInTheLoop], None]] = {
            CLOSED_BOOK: self._closed_book,
            ORDER: lambda loop: tests.order(loop, settings.top_k),
            DEPTH: lambda loop: tests.depth(loop, depths),
            DISTRACTORS: lambda loop: tests.distractors(loop, settings.top_k, settings.distractors),
        }
        wanted = {test: run for test, run in of_a_generator.items() if test in settings.tests}
        if not self._subject.callbacks:
            self._unavailable |= dict.fromkeys(wanted, NO_GENERATOR)
        for callback in self._subject.callbacks:
            name = callback.name or name_of(callback.generator)
            several = len(self._subject.callbacks) > 1
            for test, run in wanted.items():
                self._try(f"{test} ({name})" if several else test, partial(run, callback))
            # what it has loaded serves all tests
            callback.generator.release()

    def _closed_book(self, callback: GeneratorInTheLoop) -> None:
        closed_book(self._subject, callback, self._asked, self._evidence)

    def _depths(self) -> list[int]:
        """Those that are no deeper than the orders of the run."""
        orders = self._subject.orders.values()
        longest = max((len(order) for found in orders for order in found.values()), default=0)
        kept = [k for k in self._settings.ks if k <= longest] or [min(self._settings.ks)]
        if len(kept) < len(self._settings.ks):
            self._remarks.append(
                f"the orders of the run have {longest:,} passages at most: the curve ends at "
                f"{max(kept):,}"
            )
        return kept

    def _try(self, test: str, run: Callable[[], None]) -> None:
        try:
            run()
        except (Unavailable, Missing) as reason:
            self._unavailable[test] = " ".join(str(reason).split())
        except InputError as error:
            self._failed[test] = " ".join(str(error).split())

    def _document(self) -> dict[str, Any]:
        subject = self._subject
        return {
            "version": VERSION,
            "radio": __version__,
            "run": subject.run.name,
            "split": subject.split,
            "results_digest": results_digest(subject.run, subject.split),
            "questions": len(subject.questions),
            "asked": len(self._asked),
            "measure": subject.measure,
            "pair": list(subject.pair),
            "settings": {**asdict(self._settings), "tests": list(self._settings.tests)},
            "suspicious": sum(
                bool(set(flags) - {CLOSED_BOOK}) for flags in self._evidence.flags.values()
            ),
            **self._evidence.document,
            "unavailable": self._unavailable,
            "failed": self._failed,
            "remarks": self._said(),
        }

    def _said(self) -> list[str]:
        said = [*self._subject.remarks, *self._remarks]
        if len(self._asked) < len(self._subject.questions):
            said.append(
                f"the generators are asked about {len(self._asked):,} of "
                f"{len(self._subject.questions):,} questions, drawn at random (seed "
                f"{self._settings.seed})"
            )
        return said

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for name, question in self._subject.questions.items():
            row: dict[str, Any] = {"split": self._subject.split, "question_id": name}
            row |= {"question": question.question, "flags": self._evidence.flags.get(name, [])}
            rows.append({**row, **self._evidence.rows.get(name, {})})
        return rows


def _sampled(names: Sequence[str], count: int | None, seed: int) -> list[str]:
    """So many of these names, drawn by the seed, in their order."""
    if count is None or count >= len(names):
        return list(names)
    drawn = set(sorted(names, key=lambda name: lot(str(seed), "questions", name))[:count])
    return [name for name in names if name in drawn]


def write(diagnosis: Diagnosis, subject: Subject, folder: Path) -> None:
    """Write :data:`WRITES`."""
    with atomic_write(folder / "diagnose.json") as file:
        json.dump(diagnosis.document, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_jsonl(folder / "diagnose.jsonl", diagnosis.rows)
    with atomic_write(folder / "diagnose.html") as file:
        file.write(page(diagnosis.document, diagnosis.rows, _taught(subject)))


def _taught(subject: Subject) -> dict[str, str]:
    """Training questions by id, for those who want to see what a question is like."""
    return {
        question.id: question.question for question in subject.datamodule.split_questions("train")
    }
