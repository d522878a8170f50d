"""Which questions were seen before: in the training questions, in the rationales, in the corpus, or
by the generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from radio.callbacks import GeneratorInTheLoop
from radio.corpus import passages_of
from radio.diagnosing.duplicates import nearest, nearest_other, spread
from radio.diagnosing.grams import RULES, Found, Grams
from radio.diagnosing.subject import TOGETHER, Subject, there
from radio.encoders import Encoder
from radio.evaluation.asked import tally
from radio.evaluation.reading import read
from radio.evaluation.statistics import bootstrap_interval
from radio.evaluation.systems import CLOSED_BOOK
from radio.generators import ask
from radio.generators.base import name_of
from radio.metrics.base import mean
from radio.schema import Example, InputError, Question

TRAINING, RATIONALES, CANDIDATES, CORPUS = "training", "rationales", "candidates", "corpus"
SOURCES = (TRAINING, RATIONALES, CANDIDATES, CORPUS)
"""Where runs of words are looked for."""

NEAR = "near"
"""Of the test for near duplicates of training questions."""

EVERYTHING = "every"


class Unavailable(InputError):  # noqa: N818 -- says what cannot be had, which is no failure
    """A test that this run gives no grounds for, and why."""


@dataclass
class Evidence:
    """What the tests found.

    Args:
        document: their parts of ``diagnose.json``.
        rows: by question id, what they say of it.
        flags: by question id, which of them make it suspicious, and ``closed_book`` where a
            generator answers it without any passage.
    """

    document: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    flags: dict[str, list[str]] = field(default_factory=dict)

    def add(self, question: str, **facts: Any) -> None:
        self.rows.setdefault(question, {}).update(facts)

    def flag(self, question: str, name: str) -> None:
        found = self.flags.setdefault(question, [])
        if name not in found:
            found.append(name)


def text_of(question: Question, task: str) -> str:
    """What is compared with other texts: what passages are searched for, with the options of a
    multiple choice."""
    if task == "multiple_choice" and not question.search:
        return "\n".join([question.question, *question.choices])
    return question.query


# Runs of words


def overlaps(subject: Subject, source: str, grams: Grams, evidence: Evidence) -> None:
    """Look for the questions' runs of words in one of :data:`SOURCES`.

    Raises:
        Unavailable: the run has none.
    """
    texts: Iterable[tuple[str, str]]
    owners = None
    if source == TRAINING:
        texts = _training(subject)
    elif source == RATIONALES:
        texts = _rationales(subject)
    elif source == CANDIDATES:
        owners = _owners(subject)
        texts = _candidates(subject, list(owners))
    else:
        texts = _corpus(subject)
    counted = _Counted(texts)
    found = grams.look_for(counted, owners)
    sizes = {}
    for size in RULES:
        sizes[str(size)] = _size(subject, source, grams, found, size, evidence)
    part = evidence.document.setdefault("overlap", {"rules": _rules(), "sources": {}})
    part["sources"][source] = {"texts": counted.count, "sizes": sizes}


def _rules() -> dict[str, float]:
    return {str(size): share for size, share in RULES.items()}


class _Counted(Iterable[tuple[str, str]]):
    """Texts that are counted as they pass."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._texts = texts
        self.count = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for text in self._texts:
            self.count += 1
            yield text


def _size(
    subject: Subject,
    source: str,
    grams: Grams,
    found: Mapping[str, Found],
    size: int,
    evidence: Evidence,
) -> dict[str, Any]:
    """Numbers of one length of a run; each question is noted."""
    shares, counts = [], {"questions": 0, "some": 0, "flagged": 0, "short": 0, "short_flagged": 0}
    for name in subject.questions:
        overlap = grams.overlap(name, size, found.get(name))
        if not overlap.of:
            continue
        counts["questions"] += 1
        counts["some"] += overlap.found > 0
        counts["flagged"] += overlap.flagged
        counts["short"] += overlap.short
        counts["short_flagged"] += overlap.short and overlap.flagged
        shares.append(overlap.found / overlap.of)
        told = evidence.rows.setdefault(name, {}).setdefault("overlap", {}).setdefault(source, {})
        told[str(size)] = {"found": overlap.found, "of": overlap.of, "short": overlap.short}
        if overlap.found:
            told["text"] = found[name].text
        if overlap.flagged:
            evidence.flag(name, source)
    histogram = np.histogram(shares, np.linspace(0, 1, 11))[0].tolist() if shares else []
    return {**counts, "shares": histogram, "mean_share": mean(shares) if shares else None}


def _training(subject: Subject) -> Iterator[tuple[str, str]]:
    data = subject.datamodule
    for question in _training_questions(subject):
        yield question.id, text_of(question, data.task)


def _training_questions(subject: Subject) -> Sequence[Question]:
    questions = subject.datamodule.split_questions("train")
    if not questions:
        raise Unavailable("the data module has no training questions")
    return questions


def _rationales(subject: Subject) -> Iterator[tuple[str, str]]:
    """Those that the training questions have."""
    data = subject.datamodule
    if data.rationales is None or not data.teacher.needs_rationale:
        raise Unavailable("the run has no use for rationales")
    written = data.preparation.written("train")
    if not written:
        raise Unavailable("the cache has no rationale of a training question (radio prepare)")
    for question, rationale in written.items():
        yield question, rationale.text


def _owners(subject: Subject) -> dict[str, set[str]]:
    """Questions by id of a passage that a system has ranked for them."""
    owners: dict[str, set[str]] = {}
    for question, passages in subject.candidates().items():
        for passage in passages:
            owners.setdefault(passage, set()).add(question)
    if not owners:
        raise Unavailable("the results have no orders of passages (RankEvaluation notes them)")
    return owners


def _candidates(subject: Subject, identifiers: Sequence[str]) -> Iterator[tuple[str, str]]:
    corpus = subject.datamodule.corpus
    found = there(corpus, identifiers)
    known = [identifier for identifier in identifiers if identifier in found]
    if len(known) < len(identifiers):
        subject.remarks.append(missing_passages(len(identifiers) - len(known), len(identifiers)))
    for start in range(0, len(known), TOGETHER):
        for passage in passages_of(corpus, known[start : start + TOGETHER]).values():
            yield passage.id, passage.contents


def missing_passages(lacking: int, total: int) -> str:
    """What to say of passages that the results name and the corpus lacks."""
    return (
        f"WARNING: {lacking:,} of {total:,} passages that the results name are not in the corpus "
        "of the config: it has changed since"
    )


def _corpus(subject: Subject) -> Iterator[tuple[str, str]]:
    """All passages, of a corpus on disk a batch at a time."""
    from tqdm import tqdm

    corpus = subject.datamodule.corpus
    passages = tqdm(corpus.values(), total=len(corpus), desc="corpus", unit="passage")
    for passage in passages:
        yield passage.id, passage.contents


# Near duplicates


def near_duplicates(
    subject: Subject, encoder: Encoder | None, threshold: float, evidence: Evidence
) -> None:
    """Find questions that are nearly those of the training, by the cosine of their embeddings.

    Beside them stands, for each question, the nearest other question of the same split: how near
    questions are that are none of each other's copies.

    Args:
        subject: whose questions.
        encoder: of the option; None takes that of the config.
        threshold: cosine from which on a question is suspicious.
        evidence: what is found is added.

    Raises:
        Unavailable: the config has no encoder, or no training questions.
    """
    data = subject.datamodule
    encoder = encoder or encoder_in(data.teacher, data.rationale_checks, data.retriever)
    if encoder is None:
        raise Unavailable("the config has no encoder; --encoder NAME names one")
    training = _training_questions(subject)
    names = list(subject.questions)
    asked = [text_of(question, data.task) for question in subject.questions.values()]
    taught = [text_of(question, data.task) for question in training]
    mine = encoder.encode(asked, data.cache, query=True, title="embed questions")
    theirs = encoder.encode(taught, data.cache, query=True, title="embed training questions")
    encoder.release()
    found, others = nearest(mine, theirs), nearest_other(mine)
    flagged = 0
    for name, cosine, place in zip(names, found.cosines.tolist(), found.places, strict=True):
        evidence.add(name, near={"cosine": cosine, "training_id": training[int(place)].id})
        if cosine >= threshold:
            flagged += 1
            evidence.flag(name, NEAR)
    evidence.document[NEAR] = {
        "encoder": encoder.model,
        "threshold": threshold,
        "questions": len(names),
        "training": len(training),
        "flagged": flagged,
        "nearest": spread(found.cosines),
        "reference": {
            "flagged": int((others.cosines >= threshold).sum()),
            "nearest": spread(others.cosines),
        },
    }


def encoder_in(*parts: object) -> Encoder | None:
    """The first encoder that some part, or a part of it, has."""
    for part in parts:
        if isinstance(part, Encoder):
            return part
        inner: Iterable[object] = ()
        if isinstance(part, Mapping):
            inner = part.values()
        elif isinstance(part, list | tuple):
            inner = part
        elif type(part).__module__.split(".")[0] == "radio":
            inner = vars(part).values()
        found = encoder_in(*inner)
        if found is not None:
            return found
    return None


# Memory


def closed_book(
    subject: Subject, callback: GeneratorInTheLoop, asked: Sequence[str], evidence: Evidence
) -> None:
    """Which questions a generator answers rightly without any passage: from the results, where they
    say it, else it is asked.

    Args:
        subject: whose questions.
        callback: with the generator.
        asked: ids of the questions that it may be asked about.
        evidence: what is found is added.

    Raises:
        Unavailable: it copies spans of passages.
        InputError: it gave no answer at all.
    """
    data, generator = subject.datamodule, callback.generator
    right = callback.measured(data)[0]
    prefix = f"{callback.name}_" if callback.name else ""
    known = subject.values.get(CLOSED_BOOK, {}).get(f"{prefix}{right}")
    note: dict[str, Any] = {"generator": callback.name, "model": name_of(generator)}
    if known:
        values = {name: known[name] for name in subject.questions if name in known}
        note["from"] = "results"
    else:
        if generator.copies_spans:
            raise Unavailable(
                f"{type(generator).__name__} copies spans of the passages, and knows nothing "
                "without any"
            )
        values, costs = _asked(subject, callback, asked, right)
        note |= {"from": "asked", **costs}
    numbers = list(values.values())
    if not numbers:
        raise Unavailable(f"no question gives grounds for {right}")
    low, high = bootstrap_interval(numbers)
    note |= {"metric": right, "questions": len(numbers), "right": sum(v == 1.0 for v in numbers)}
    note |= {"mean": mean(numbers), "low": low, "high": high}
    evidence.document.setdefault(CLOSED_BOOK, []).append(note)
    for name, value in values.items():
        evidence.rows.setdefault(name, {}).setdefault(CLOSED_BOOK, {})[callback.name or ""] = value
        if value == 1.0:
            evidence.flag(name, CLOSED_BOOK)


def _asked(
    subject: Subject, callback: GeneratorInTheLoop, names: Sequence[str], right: str
) -> tuple[dict[str, float], dict[str, Any]]:
    data = subject.datamodule
    readings = read(
        {EVERYTHING: {name: {} for name in names}},
        {name: Example(subject.questions[name], ()) for name in names},
        data.corpus,
        (),
        task=data.task,
        closed_book=True,
        ask=lambda prompts: ask(callback.generator, prompts, data.cache),
        judge=partial(callback.judge, data),
    )
    if readings.failed and not readings.read:
        error = next(iter(readings.failed.values()))
        raise InputError(f"{name_of(callback.generator)} gave no answer at all: {error}")
    values = {}
    for reading in readings.read:
        if right in reading.numbers:
            values[reading.prompt.question.id] = reading.numbers[right]
    return values, {"failed": len(readings.failed), "costs": tally(readings)["total"]}
